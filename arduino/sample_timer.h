// What makes the board take a sample: a timer where its core offers one, else the loop.
//
//     ESP32      esp_timer, set anew for each due moment. Its callback runs in a task, where analogRead is allowed; in
//                an interrupt it is not.
//     UNO R4     a GPT timer (FspTimer) with a period of its own; its callback is an interrupt.
//     ESP8266    the loop: analogRead is not allowed in a timer's interrupt there.
#pragma once

#include <stdint.h>

#if defined(ARDUINO_ARCH_ESP32)
#include <esp_timer.h>
#elif defined(ARDUINO_UNOR4_WIFI)
#include <FspTimer.h>
#endif

namespace semg {

typedef void (*TakeSample)();

enum class Pace {
  LOOP,      // the loop must call, and claims what is due
  ONE_SHOT,  // called at the moment given to arm()
  PERIODIC,  // called at the timer's own period
};

class SampleTimer {
 public:
  // Starts calling `take`; without a free timer the loop has to do it. The pace is set before the first call, which
  // may come while this still runs.
  void start(TakeSample take, uint32_t rateHz);

  Pace pace() const { return pace_; }

  void arm(uint64_t waitUs);

 private:
  Pace pace_ = Pace::LOOP;
#if defined(ARDUINO_ARCH_ESP32)
  static const uint64_t SHORTEST_WAIT_US = 50;  // below, setting the timer takes longer than the wait
  static void run(void *take) { ((SampleTimer *)take)->take_(); }
  esp_timer_handle_t handle_ = nullptr;
  TakeSample take_ = nullptr;
#elif defined(ARDUINO_UNOR4_WIFI)
  static void run(timer_callback_args_t *arguments) { ((SampleTimer *)arguments->p_context)->take_(); }
  FspTimer timer_;
  TakeSample take_ = nullptr;
#endif
};

#if defined(ARDUINO_ARCH_ESP32)

inline void SampleTimer::start(TakeSample take, uint32_t) {
  take_ = take;
  esp_timer_create_args_t arguments = {};
  arguments.callback = &SampleTimer::run;
  arguments.arg = this;
  arguments.dispatch_method = ESP_TIMER_TASK;
  arguments.name = "semg-sample";
  pace_ = esp_timer_create(&arguments, &handle_) == ESP_OK ? Pace::ONE_SHOT : Pace::LOOP;
}

inline void SampleTimer::arm(uint64_t waitUs) {
  if (pace_ == Pace::ONE_SHOT) {
    esp_timer_start_once(handle_, waitUs < SHORTEST_WAIT_US ? SHORTEST_WAIT_US : waitUs);
  }
}

#elif defined(ARDUINO_UNOR4_WIFI)

inline void SampleTimer::start(TakeSample take, uint32_t rateHz) {
  take_ = take;
  uint8_t type = GPT_TIMER;
  int8_t channel = FspTimer::get_available_timer(type);
  if (channel < 0) {
    FspTimer::force_use_of_pwm_reserved_timer();
    channel = FspTimer::get_available_timer(type, true);
  }
  pace_ = Pace::PERIODIC;
  const bool running = channel >= 0 &&
                       timer_.begin(TIMER_MODE_PERIODIC, type, (uint8_t)channel, (float)rateHz, 0.0f,
                                    &SampleTimer::run, this) &&
                       timer_.setup_overflow_irq() && timer_.open() && timer_.start();
  if (!running) {
    pace_ = Pace::LOOP;
  }
}

inline void SampleTimer::arm(uint64_t) {}

#else

inline void SampleTimer::start(TakeSample, uint32_t) {}
inline void SampleTimer::arm(uint64_t) {}

#endif

}  // namespace semg
