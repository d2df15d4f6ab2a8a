#!/bin/busybox sh
# The first program of a guest: what lockrig needs of a system, and a shell for the test on the console.
/bin/busybox mkdir -p /proc /sys /dev /tmp /run
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp
ifconfig lo 127.0.0.1 up
nc -ll -p 5025 -e /root/supply.sh &
cd /root
[ -e modules.sh ] && . ./modules.sh
export HOME=/root PS1= NO_COLOR=1
tty=/dev/$(sed 's/.*console=\([^,]*\),.*/\1/' /proc/cmdline)
stty -F "$tty" -echo -onlcr
# The first byte that a port sends may be junk.
printf '\nguest: ready\n' >"$tty"
while true; do sh <"$tty" >"$tty" 2>&1; done
