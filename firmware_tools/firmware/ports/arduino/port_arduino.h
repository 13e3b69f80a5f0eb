/* The link over any Arduino Stream: Serial, Serial1, a network client. */
#ifndef PORT_ARDUINO_H
#define PORT_ARDUINO_H

#include <Arduino.h>

/* Lets the link speak on `line`, which has been begun: the five functions of link/port.h are then there. */
void port_begin(Stream &line);

/* The same, for the built-in engine: answers the host and runs the model for it. Does not return. */
void serve_model(Stream &line);

#endif
