// The hardware timer of the host build. On the real clock it runs in a thread of its own, so that the sketch's loop
// is interrupted as on a board; on the virtual clock it fires at its moment while time is advanced.
#include <errno.h>
#include <time.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "HostBoard.h"

#if defined(ARDUINO_ARCH_ESP32)
#include "esp_timer.h"
#elif defined(ARDUINO_UNOR4_WIFI)
#include "FspTimer.h"
#endif

namespace host {

const uint64_t NEVER = UINT64_MAX;

static std::atomic<uint64_t> dueNs{NEVER};
static double periodNs = 0;  // 0: one shot
static void (*fire)(void *) = nullptr;
static void *fireArgument = nullptr;

static std::mutex guard;
static std::condition_variable changed;
static bool ending = false;
static std::thread runner;

// A hardware timer whose interrupt is held up for several periods fires once afterwards, not once for each.
static uint64_t nextDueNs() {
  static double exactNs = 0;
  exactNs = (exactNs == 0 ? (double)dueNs : exactNs) + periodNs;
  while (exactNs + periodNs < (double)nowMicros() * 1000) {
    exactNs += periodNs;
  }
  return (uint64_t)exactNs;
}

// Calls the sketch; a one-shot timer may be set again from there.
void fireTimer() {
  dueNs = periodNs > 0 ? nextDueNs() : NEVER;
  fire(fireArgument);
}

bool fireTimerDueBy(uint64_t untilUs, uint64_t *atUs) {
  const uint64_t due = dueNs;
  if (due == NEVER || due / 1000 > untilUs) {
    return false;
  }
  *atUs = due / 1000;
  return true;
}

static void runTimers() {
  std::unique_lock<std::mutex> lock(guard);
  while (!ending) {
    const uint64_t due = dueNs, now = nowMicros() * 1000;
    if (due == NEVER) {
      changed.wait(lock);
    } else if (due > now) {
      changed.wait_for(lock, std::chrono::nanoseconds(due - now));
    } else {
      lock.unlock();
      fireTimer();
      lock.lock();
    }
  }
}

void setTimer(void (*callback)(void *), void *argument, uint64_t waitNs, double everyNs) {
  const std::lock_guard<std::mutex> lock(guard);
  fire = callback;
  fireArgument = argument;
  periodNs = everyNs;
  dueNs = nowMicros() * 1000 + waitNs;
  if (!clockIsVirtual() && !runner.joinable()) {
    runner = std::thread(runTimers);
  }
  changed.notify_one();
}

void stopTimer() {
  {
    const std::lock_guard<std::mutex> lock(guard);
    ending = true;
    changed.notify_one();
  }
  if (runner.joinable()) {
    runner.join();
  }
}

}  // namespace host

#if defined(ARDUINO_ARCH_ESP32)

struct esp_timer {
  esp_timer_cb_t callback;
  void *argument;
};

esp_err_t esp_timer_create(const esp_timer_create_args_t *arguments, esp_timer_handle_t *handle) {
  static esp_timer only;
  if (host::number("HOST_NO_TIMER", 0) != 0) {
    return ESP_ERR_INVALID_STATE;
  }
  only = {arguments->callback, arguments->arg};
  *handle = &only;
  return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t handle, uint64_t timeout_us) {
  host::setTimer(handle->callback, handle->argument, timeout_us * 1000, 0);
  return ESP_OK;
}

#elif defined(ARDUINO_UNOR4_WIFI)

int8_t FspTimer::get_available_timer(uint8_t &, bool) { return host::number("HOST_NO_TIMER", 0) != 0 ? -1 : 0; }
void FspTimer::force_use_of_pwm_reserved_timer() {}

bool FspTimer::begin(timer_mode_t mode, uint8_t, uint8_t, float freq_hz, float, GPTimerCbk_f callback, void *context) {
  frequencyHz_ = freq_hz;
  callback_ = callback;
  arguments_.p_context = context;
  return mode == TIMER_MODE_PERIODIC && callback != nullptr;
}

bool FspTimer::setup_overflow_irq() { return true; }

bool FspTimer::open() {
  open_ = true;
  return true;
}

void FspTimer::run(void *timer) {
  FspTimer *self = (FspTimer *)timer;
  self->callback_(&self->arguments_);
}

// HOST_TIMER_SLOW_PPM: how much longer than asked the period is, as a divider that does not fit makes it.
bool FspTimer::start() {
  const double slow = 1.0 + (double)host::number("HOST_TIMER_SLOW_PPM", 0) * 1e-6;
  const double everyNs = 1e9 / (double)frequencyHz_ * slow;
  if (open_) {
    host::setTimer(&FspTimer::run, this, (uint64_t)everyNs, everyNs);
  }
  return open_;
}

#endif
