#!/bin/busybox sh
# The first program of the guest: what lockrig needs of a system, and a shell for the test on the console.
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
ifconfig lo 127.0.0.1 up
nc -lk -p 5025 -e /root/supply.sh &
stty -F /dev/ttyS1 -echo -onlcr
cd /root
export HOME=/root PS1= NO_COLOR=1
echo 'guest: ready' >/dev/ttyS1
while true; do sh </dev/ttyS1 >/dev/ttyS1 2>&1; done
