"""A relay board that is not ours: pymodbus, which speaks Modbus RTU over a TCP connection.

It has sixteen coils at unit 7, prints its address, and then every coil that is written or read.
"""

import asyncio

from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer


def tell(is_sent, pdu):
    """Prints what it is asked."""
    if not is_sent and pdu.function_code == 5:
        print("write", pdu.address, int(pdu.bits[0]), flush=True)
    elif not is_sent and pdu.function_code == 1:
        print("read", pdu.address, pdu.count, flush=True)
    return pdu


async def main():
    coils = ModbusDeviceContext(co=ModbusSequentialDataBlock(1, [False] * 16))
    server = ModbusTcpServer(
        ModbusServerContext(devices={7: coils}, single=False),
        framer=FramerType.RTU,
        address=("127.0.0.1", 0),
        trace_pdu=tell,
    )
    await server.serve_forever(background=True)
    host, port = server.transport.sockets[0].getsockname()
    print(f"tcp://{host}:{port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
