#include "Arduino.h"

#include <chrono>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

HardwareSerial Serial;

void setup();
void loop();

uint32_t crc32(const void *, size_t, uint32_t)
{
    abort(); // the board's own; nobody here is to call it
}

unsigned long micros()
{
    using namespace std::chrono;
    return (unsigned long)(uint32_t)duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

unsigned long millis()
{
    return micros() / 1000;
}

void delay(unsigned long)
{
    fflush(stdout);
    exit(0); // a sketch that pauses has shown what it does
}

void yield()
{
    struct pollfd input = {0, POLLIN, 0};
    poll(&input, 1, 100);
}

void HardwareSerial::begin(unsigned long) {}

int HardwareSerial::available()
{
    struct pollfd input = {0, POLLIN, 0};
    return poll(&input, 1, 0) > 0;
}

int HardwareSerial::read()
{
    unsigned char byte;
    if (::read(0, &byte, 1) <= 0) {
        exit(0); // the host has gone
    }
    return byte;
}

size_t HardwareSerial::write(const uint8_t *bytes, size_t count)
{
    size_t most = count > 37 ? 37 : count; // a board takes what its buffer holds
    ssize_t sent = ::write(1, bytes, most);
    return sent < 0 ? 0 : (size_t)sent;
}

size_t Print::print(const char *text) { return write((const uint8_t *)text, strlen(text)); }
size_t Print::print(char letter) { return write((const uint8_t *)&letter, 1); }
size_t Print::println(const char *text) { return print(text) + print('\n'); }

template <typename T> static size_t formatted(Print &to, const char *format, T value)
{
    char text[40];
    snprintf(text, sizeof text, format, value);
    return to.print(text);
}

size_t Print::print(long number) { return formatted(*this, "%ld", number); }
size_t Print::print(unsigned long number) { return formatted(*this, "%lu", number); }

size_t Print::println(double number, int digits)
{
    char format[8];
    snprintf(format, sizeof format, "%%.%df\n", digits);
    return formatted(*this, format, number);
}

int main()
{
    setup();
    for (;;) {
        loop();
    }
}
