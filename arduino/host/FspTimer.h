// Arduino UNO R4: a hardware timer that calls at its own period.
#pragma once

#include <stdint.h>

#define GPT_TIMER (0)
#define AGT_TIMER (1)

enum timer_mode_t { TIMER_MODE_PERIODIC, TIMER_MODE_ONE_SHOT };

struct timer_callback_args_t {
  void *p_context;
};

typedef void (*GPTimerCbk_f)(timer_callback_args_t *arguments);

class FspTimer {
 public:
  static int8_t get_available_timer(uint8_t &type, bool force = false);  // HOST_NO_TIMER=1: none
  static void force_use_of_pwm_reserved_timer();
  bool begin(timer_mode_t mode, uint8_t type, uint8_t channel, float freq_hz, float duty_perc, GPTimerCbk_f callback,
             void *context);
  bool setup_overflow_irq();
  bool open();
  bool start();

 private:
  static void run(void *timer);

  float frequencyHz_ = 0;
  GPTimerCbk_f callback_ = nullptr;
  timer_callback_args_t arguments_ = {};
  bool open_ = false;
};
