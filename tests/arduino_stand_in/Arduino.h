// The part of Arduino's interface that the exported library and its sketches use, on standard input and output.
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

unsigned long micros();
unsigned long millis();
void delay(unsigned long ms);
void yield();

class Print {
public:
    virtual ~Print() {}
    virtual size_t write(const uint8_t *bytes, size_t count) = 0;
    size_t print(const char *text);
    size_t print(char letter);
    size_t print(long number);
    size_t print(unsigned long number);
    size_t println(const char *text);
    size_t println(double number, int digits);
};

class Stream : public Print {
public:
    virtual int available() = 0;
    virtual int read() = 0;
};

class HardwareSerial : public Stream {
public:
    void begin(unsigned long baud);
    explicit operator bool() const { return true; }
    bool operator!() const { return false; }
    int available() override;
    int read() override;
    size_t write(const uint8_t *bytes, size_t count) override;
};

extern HardwareSerial Serial;

// A global function of this name exists in some boards' cores, with other arguments.
extern "C" uint32_t crc32(const void *data, size_t length, uint32_t crc);

#endif
