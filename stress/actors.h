/* SPDX-License-Identifier: MIT */
/*
 * actors.h - actors, for the driver.
 */
#ifndef STRESS_ACTORS_H
#define STRESS_ACTORS_H

#include "stress/stress.h"

void actors_open(void);
void actor_begins(int number);
void actor_goes_on(struct actor *a); /* with its next burst, if it is idle */
void actors_cancel(struct actor *a);
void actors_compare(void);
void poke_something(struct actor *a);

#endif
