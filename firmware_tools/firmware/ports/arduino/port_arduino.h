/* The link over any Arduino Stream: Serial, Serial1, a network client. */
#ifndef PORT_ARDUINO_H
#define PORT_ARDUINO_H

#include <Arduino.h>

/* Answers the host on `line`, which has been begun, and runs the model for it. Does not return. */
void serve_model(Stream &line);

#endif
