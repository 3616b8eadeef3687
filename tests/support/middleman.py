"""A TCP proxy between limpet and Redis that answers late, not at all, or with something else."""
import asyncio
import threading

from ports import free_port


class Middleman:
    """`port` stands for `target`'s. May be changed at any time, for all connections:

    `delay`: seconds that each answer comes later; `instead`: bytes in place of whatever Redis says; `held`: answers wait
    until it is False; `deaf`: connections are closed as they come. `told` is what limpet has sent, as one piece.
    """

    def __init__(self, target, port=None):
        self.target, self.port = target, port or free_port()
        self.delay, self.instead, self.deaf = 0.0, None, False
        self.told = bytearray()
        self.connections = 0
        self._held, self._waiting, self._open = False, [], set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", self.port))

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    @property
    def held(self):
        return self._held

    @held.setter
    def held(self, value):
        self._do(self._hold(value))

    async def _hold(self, value):
        self._held = value
        if not value:
            waiting, self._waiting = self._waiting, []
            for writer, data in waiting:
                self._write(writer, data)

    @property
    def waiting(self):
        """How many pieces are held."""
        return len(self._waiting)

    @property
    def open(self):
        return len(self._open)

    def cut(self):
        """All connections are reset; others may come."""
        self._do(self._cut())

    async def _cut(self):
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.connections += 1
        if self.deaf:
            writer.close()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(self._carry(reader, self._tell, back), self._carry(there, self._answer, writer))
        for one in (writer, back):
            self._open.discard(one)
            one.transport.abort()

    async def _carry(self, reader, pass_on, writer):
        """To the end of either side, which is the end of both."""
        try:
            while data := await reader.read(65536):
                pass_on(writer, data)
        except OSError:
            pass
        self._loop.call_later(self.delay, self._write, writer, None)

    def _tell(self, writer, data):
        self.told += data
        self._write(writer, data)

    def _answer(self, writer, data):
        if self.instead is not None:
            data = self.instead
        if self._held:
            self._waiting.append((writer, data))
        elif self.delay:
            self._loop.call_later(self.delay, self._write, writer, data)
        else:
            self._write(writer, data)

    def _write(self, writer, data):
        """None: the end."""
        if not writer.transport.is_closing():
            if data is None:
                writer.close()
            else:
                writer.write(data)

    def stop(self):
        async def end():
            self._server.close()
            await self._cut()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
