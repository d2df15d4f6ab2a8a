# Plays the lock at the simulated chip: once '#' was pressed and released, red lamp and beeper go on and off
# so many times. Each time is noted in the kernel's trace first.
tracing=/sys/kernel/tracing
row=$(($(cat /sys/class/gpio/gpiochip*/base) + 19))
# A trace of its own, which reading empties.
mkdir -p $tracing/instances/lock
echo 1 >$tracing/instances/lock/events/gpio/gpio_value/enable
awk -v row="gpio_value: $row set" '
  index($0, row " 0") { pressed = 1 }
  pressed && index($0, row " 1") { exit }
' $tracing/instances/lock/trace_pipe
for flash in $(seq "$1"); do
  for pull in pull-up pull-down; do
    echo "lock $pull" >$tracing/trace_marker
    echo $pull >/sim/sim_gpio23/pull
    echo $pull >/sim/sim_gpio25/pull
    usleep 250000
  done
done
