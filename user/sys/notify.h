#pragma once
/*
 * Word to the service manager (systemd's notification socket); silent where there is none.
 */
void notify_ready(const char *status);
void notify_watchdog(void);
void notify_stopping(void);
/* Half of the watchdog's period in microseconds; 0: no watchdog. */
long notify_watchdog_us(void);
