/* What a self-test needs of a machine: semihosting carries text and the exit code to whoever runs it. */
#ifndef QIR_BOARD_H
#define QIR_BOARD_H

#include <stdint.h>

void board_text(const char *text);
void board_number(unsigned long number);
void board_exit(int code);

/* Instructions since the start; on ARM to the nearest tick of its timer, some ten. The emulator has to count them:
   -icount shift=0. */
uint32_t board_instructions(void);

/* One request of semihosting (https://github.com/ARM-software/abi-aa/blob/main/semihosting). */
int board_host(int operation, const void *argument);

/* Copies initial values to their place, clears the rest of static memory, runs main and exits with its code. */
void board_start(void);

#endif
