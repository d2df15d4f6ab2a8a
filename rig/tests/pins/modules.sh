# The simulated chip of an emulated computer: 32 lines, labelled "rig".
mkdir -p /config
insmod configfs.ko
insmod gpio-simulated.ko
mount -t configfs configfs /config
mkdir -p /config/gpio-sim/rig/bank
echo rig >/config/gpio-sim/rig/bank/label
echo 32 >/config/gpio-sim/rig/bank/num_lines
echo 1 >/config/gpio-sim/rig/live
ln -s /sys/devices/platform/gpio-sim.0/gpiochip0 /sim
# As the resistors of the wiring do: outputs are off, which is high, while nothing drives them.
for line in 5 6 13 19 16 20 21 26 12; do echo pull-up >/sim/sim_gpio$line/pull; done
mount -t tracefs tracefs /sys/kernel/tracing
