"""A TCP proxy between limpet and Redis that answers late, not at all, or with something else."""
import asyncio
import collections
import threading

from ports import free_port


class Lane:
    """One way of a connection: what is written comes when it is due, in the order in which it was written, as TCP does."""

    def __init__(self, writer):
        self._writer, self._late, self._last = writer, collections.deque(), 0.0

    def write(self, data, delay):
        """None: the end."""
        loop = asyncio.get_running_loop()
        self._last = max(self._last, loop.time() + delay)
        self._late.append((self._last, data))
        if len(self._late) == 1:
            self._pass()

    def _pass(self):
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time():
            data = self._late.popleft()[1]
            if self._writer.transport.is_closing():
                continue
            if data is None:
                self._writer.close()
            else:
                self._writer.write(data)
        if self._late:
            loop.call_at(self._late[0][0], self._pass)


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
            for lane, data in waiting:
                lane.write(data, self.delay)

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
        await asyncio.gather(self._carry(reader, self._tell, Lane(back)), self._carry(there, self._answer, Lane(writer)))
        for one in (writer, back):
            self._open.discard(one)
            one.transport.abort()

    async def _carry(self, reader, pass_on, lane):
        """To the end of either side, which is the end of both."""
        try:
            while data := await reader.read(65536):
                pass_on(lane, data)
        except OSError:
            pass
        lane.write(None, self.delay)

    def _tell(self, lane, data):
        self.told += data
        lane.write(data, 0)

    def _answer(self, lane, data):
        if self.instead is not None:
            data = self.instead
        if self._held:
            self._waiting.append((lane, data))
        else:
            lane.write(data, self.delay)

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
