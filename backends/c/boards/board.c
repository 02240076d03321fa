/* What boards of all processors do alike. */
#include "board.h"

#include <stddef.h>

enum { WRITE0 = 0x04, EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

/* From board.ld: word after word. */
extern uint32_t board_data[], board_data_end[], board_bss[], board_bss_end[];
extern const uint32_t board_data_values[];

int main(void);

void board_start(void) {
    size_t i;
    const size_t data = (size_t)(board_data_end - board_data);
    const size_t bss = (size_t)(board_bss_end - board_bss);
    for (i = 0; i < data; ++i) {
        board_data[i] = board_data_values[i];
    }
    for (i = 0; i < bss; ++i) {
        board_bss[i] = 0;
    }
    board_exit(main());
}

void board_text(const char *text) {
    (void)board_host(WRITE0, text);
}

void board_number(unsigned long number) {
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    board_text(digits + at);
}

void board_exit(int code) {
    const uintptr_t reason[2] = {APPLICATION_EXIT, (uintptr_t)code};
    (void)board_host(EXIT_EXTENDED, reason);
    for (;;) {
    }
}
