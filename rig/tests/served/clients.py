"""Independent clients of a served bench: pyserial, PyVISA over a terminal or a socket, pyFirmata2.

The argument is the document that 'lockrig sim serve --format json' printed. It turns the lock on
through the supply, reads the console, closes a key, and sees that on the sense board.
"""

import json
import sys
import time

import pyvisa
import serial

ports = {port["name"]: port["at"] for port in json.loads(sys.argv[1])["ports"]}


def wait_for(what, seconds=20):
    """Returns what `what` gives once that is something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    sys.exit("it never came")


def line(name):
    """A port through pyserial, which reaches sockets as well."""
    at = ports[name].replace("tcp://", "socket://")
    return serial.serial_for_url(at, timeout=0.5)


def supply():
    """The supply through PyVISA."""
    at = ports["supply"]
    if at.startswith("tcp://"):
        host, port = at.removeprefix("tcp://").split(":")
        name = f"TCPIP::{host}::{port}::SOCKET"
    else:
        name = f"ASRL{at}::INSTR"
    terminal = pyvisa.ResourceManager("@py").open_resource(name)
    terminal.read_termination = terminal.write_termination = "\n"
    terminal.timeout = 5000
    return terminal


scpi = supply()
assert scpi.query("*IDN?").startswith("LOCKRIG"), "another instrument answers"
console = line("console")
scpi.write("VOLT 9.0")
scpi.write("CURR 1.0")
scpi.write("OUTP ON")
print(f"supply {float(scpi.query('MEAS:VOLT?')):.2f} V")
boot = wait_for(console.readline)
console.write(b"?\r\n")
state = wait_for(lambda: [text for text in [console.readline()] if text.startswith(b"state")])
print("console", state[0].decode().strip())

relay = line("relay")
if ports["sense-board"].startswith("tcp://"):
    # pyFirmata2 opens serial ports only.
    sense = line("sense-board")
    sense.write(bytes([0xF4, 11, 0, 0xD1, 1]))
    assert sense.read(3) == bytes([0x91, 0, 0]), "key 1 is closed already"
    relay.write(bytes([0xA0, 1, 3, 0xA4]))
    assert relay.read(4) == bytes([0xA0, 1, 1, 0xA2])
    wait_for(lambda: sense.read(3) == bytes([0x91, 0x08, 0]))
else:
    import pyfirmata2

    board = pyfirmata2.Arduino(ports["sense-board"])
    key = board.get_pin("d:11:i")
    seen = []
    key.register_callback(seen.append)
    key.enable_reporting()
    board.samplingOn(10)
    relay.write(bytes([0xA0, 1, 3, 0xA4]))
    assert relay.read(4) == bytes([0xA0, 1, 1, 0xA2])
    wait_for(lambda: True in seen)
    board.exit()
relay.write(bytes([0xA0, 1, 2, 0xA3]))
assert relay.read(4) == bytes([0xA0, 1, 0, 0xA1])
print("relay opened and closed")
