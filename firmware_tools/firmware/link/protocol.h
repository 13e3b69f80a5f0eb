/* Names of docs/protocol.md. The host's twin is firmware_tools/link/messages.py; a test holds the two together. */
#ifndef LINK_PROTOCOL_H
#define LINK_PROTOCOL_H

enum { PROTOCOL_VERSION = 1 };

/* Requests; the answer's kind is the request's with bit 7 set, or ERROR. */
enum {
    MESSAGE_HELLO = 0x01,
    MESSAGE_TENSORS = 0x02,
    MESSAGE_OPS = 0x03,
    MESSAGE_INPUT = 0x04,
    MESSAGE_RUN = 0x05,
    MESSAGE_NEXT = 0x06,
    MESSAGE_DIGEST = 0x07,
    MESSAGE_READ = 0x08,
    MESSAGE_WRITE = 0x09,
    MESSAGE_ABORT = 0x0A,
    MESSAGE_STATS = 0x0B,
    MESSAGE_CAPTURE = 0x0C,
    MESSAGE_FEED = 0x0D,
    MESSAGE_ANSWER = 0x80,
    MESSAGE_ERROR = 0xFF,
};

enum {
    ERROR_UNKNOWN = 1, /* no such message; detail: protocol version */
    ERROR_LENGTH = 2,  /* the payload has a wrong length; detail: the length */
    ERROR_SESSION = 3, /* the nonce is not this session's: the device was reset, or another host took over */
    ERROR_STATE = 4,   /* not at this run and pause; detail: run, pause << 16 */
    ERROR_NAME = 5,    /* nothing of this name is alive, or writable, at this pause; detail: the name */
    ERROR_RANGE = 6,   /* outside the named bytes; detail: how many there are */
    ERROR_INPUT = 7,   /* an input's bytes are not those that RUN announced; detail: the tensor */
    ERROR_STALE = 8,   /* older than the newest request */
    ERROR_VERSION = 9, /* another protocol version; detail: the device's */
    ERROR_SENSOR = 10, /* nothing to capture: no sensor, or it gave nothing */
};

enum { SPACE_TENSOR = 0, SPACE_CONSTANT = 1, SPACE_RAW = 2 };

enum {
    CAPABILITY_WRITE = 1,
    CAPABILITY_CONSTANTS = 2,
    CAPABILITY_FEED = 4,
    CAPABILITY_KEEPS_INPUT = 8,
    CAPABILITY_CAPTURE = 16,
};

/* How the bytes of a captured frame are to be read. */
enum { RAW_OPAQUE = 0, RAW_GREY8 = 1, RAW_RGB888 = 2, RAW_RGB565_BIG = 3, RAW_RGB565_LITTLE = 4 };

#endif
