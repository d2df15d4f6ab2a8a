# Plays the lock at the simulated chip: once '#' was pressed and released, red lamp and beeper go on and off
# so many times. Each time is noted in the kernel's trace first.
levels() { cat /sim/sim_gpio19/value /sim/sim_gpio21/value | tr -d '\n'; }
until [ "$(levels)" = 00 ]; do usleep 10000; done
until [ "$(levels)" = 11 ]; do usleep 10000; done
for flash in $(seq "$1"); do
  for pull in pull-up pull-down; do
    echo "lock $pull" >/sys/kernel/tracing/trace_marker
    echo $pull >/sim/sim_gpio23/pull
    echo $pull >/sim/sim_gpio25/pull
    usleep 250000
  done
done
