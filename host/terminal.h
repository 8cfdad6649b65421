/* SPDX-License-Identifier: BSD-3-Clause */
/* The user's terminal: its settings before the run, and putting them back. */
#pragma once

/* Remembers the first terminal among the standard streams. */
void terminal_save(void);
/* A program has changed a terminal's settings. */
void terminal_touched(void);
/* Puts back what was there before, if it was changed. Async-signal-safe. */
void terminal_restore(void);
/* Round a stop of the whole process: back to the user's settings, and to the programs'. */
void terminal_suspend(void);
void terminal_resume(void);
