#include "port_arduino.h"

extern "C" {
#include "link/server.h"
}

void serve_model(Stream &line)
{
    port_begin(line);
    link_serve(&nn_the_model);
}
