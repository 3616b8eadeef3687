"""A client of HTTP/2 that sends what it is told, frame by frame, broken ones too. Needs python3-h2 (its frames and HPACK)."""
import socket
import ssl

from hpack import Decoder, Encoder
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame,
                              SettingsFrame, WindowUpdateFrame)

from client import Response
from waiting import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 3
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11

INITIAL_WINDOW, MAX_FRAME = SettingsFrame.INITIAL_WINDOW_SIZE, SettingsFrame.MAX_FRAME_SIZE
HEADER_TABLE, MAX_STREAMS = SettingsFrame.HEADER_TABLE_SIZE, SettingsFrame.MAX_CONCURRENT_STREAMS
EXTENDED_CONNECT = 8  # RFC 8441

DEFAULT_WINDOW = 65535


def client_context(alpn=("h2",)):
    """Trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Stream:
    """What has come on one stream."""

    def __init__(self):
        self.interim, self.headers, self.trailers = [], None, None
        self.body, self.ended, self.reset = bytearray(), False, None

    @property
    def over(self):
        return self.ended or self.reset is not None

    @property
    def status(self):
        return int(dict(self.headers)[":status"])

    def response(self):
        made = Response(self.status, "", [pair for pair in self.headers if not pair[0].startswith(":")], bytes(self.body))
        made.trailers = self.trailers
        made.interim = self.interim
        return made


class Http2:
    """One connection. While `reads`, each DATA frame is given back to the windows as soon as it has come."""

    def __init__(self, port, address="127.0.0.1", tls=None, sni=None, settings=None, reads=True, receive_buffer=None):
        self.reads = reads
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((address, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=sni)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.streams, self.settings, self.acknowledged, self.pongs = {}, {}, 0, []
        self.goaway, self.closed = None, False
        self.window, self.windows, self.first_window = DEFAULT_WINDOW, {}, DEFAULT_WINDOW
        self.next_id = 1
        self._bytes = b""
        self._block = None
        self.send(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Sending

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, frame):
        self.send(frame.serialize())

    def raw(self, kind, flags=0, stream=0, payload=b""):
        """A frame of any type, well-formed or not."""
        self.send(raw_frame(kind, flags, stream, payload))

    def head(self, fields, end=True, stream=None):
        """HEADERS with these fields, in their order, whatever they are; returns the stream."""
        if stream is None:
            stream, self.next_id = self.next_id, self.next_id + 2
        block = self.encoder.encode(fields)
        parts = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        frames = [HeadersFrame(stream, parts[0], flags=["END_STREAM"] * end),
                  *(ContinuationFrame(stream, part) for part in parts[1:])]
        frames[-1].flags.add("END_HEADERS")
        self.streams.setdefault(stream, Stream())
        self.windows.setdefault(stream, self.first_window)
        self.send(b"".join(frame.serialize() for frame in frames))
        return stream

    def ask(self, path="/", method="GET", headers=(), end=True, authority="localhost", scheme="http"):
        """An ordinary request; its stream."""
        return self.head([(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *headers],
                         end=end)

    def data(self, stream, data, end=True):
        """As much at a time as the windows allow."""
        data = memoryview(data)
        while True:
            size = min(len(data), 16384, self.window, self.windows[stream])
            if len(data) and size <= 0:
                if self.streams[stream].over or self.read() is None:
                    return
                continue
            last = size == len(data)
            self.frame(DataFrame(stream, bytes(data[:size]), flags=["END_STREAM"] if end and last else []))
            self.window -= size
            self.windows[stream] -= size
            data = data[size:]
            if last:
                return

    def reset(self, stream, code=CANCEL):
        self.frame(RstStreamFrame(stream, error_code=code))

    def ping(self, data=b"limpet!!"):
        self.frame(PingFrame(0, data))

    def open_window(self, stream, size):
        self.frame(WindowUpdateFrame(stream, window_increment=size))

    def set(self, **settings):
        """SETTINGS by the names of hyperframe's SettingsFrame, `INITIAL_WINDOW_SIZE=0`."""
        self.frame(SettingsFrame(0, settings={getattr(SettingsFrame, name): value for name, value in settings.items()}))

    # Receiving

    def read(self):
        """The next frame, taken note of; None when the connection has been closed."""
        try:
            while (frame := self._parse()) is None:
                data = self.socket.recv(65536)
                if not data:
                    self.closed = True
                    return None
                self._bytes += data
        except ConnectionError:
            self.closed = True
            return None
        self._note(frame)
        return frame

    def _parse(self):
        if len(self._bytes) < 9:
            return None
        frame, length = Frame.parse_frame_header(memoryview(self._bytes[:9]))
        if len(self._bytes) < 9 + length:
            return None
        frame.parse_body(memoryview(self._bytes[9:9 + length]))
        self._bytes = self._bytes[9 + length:]
        return frame

    def _note(self, frame):
        note = getattr(self, "_note_" + type(frame).__name__[:-5].lower(), None)
        if note:
            note(frame)

    def _note_settings(self, frame):
        if "ACK" in frame.flags:
            self.acknowledged += 1
            return
        self.settings.update(frame.settings)
        change = frame.settings.get(INITIAL_WINDOW, self.first_window) - self.first_window
        self.first_window += change
        for stream in self.windows:
            self.windows[stream] += change
        self.send_quietly(SettingsFrame(0, flags=["ACK"]))

    def _note_ping(self, frame):
        if "ACK" in frame.flags:
            self.pongs.append(frame.opaque_data)

    def _note_windowupdate(self, frame):
        if frame.stream_id == 0:
            self.window += frame.window_increment
        elif frame.stream_id in self.windows:
            self.windows[frame.stream_id] += frame.window_increment

    def _note_goaway(self, frame):
        self.goaway = frame

    def _note_rststream(self, frame):
        if frame.stream_id in self.streams:
            self.streams[frame.stream_id].reset = frame.error_code

    def _note_headers(self, frame):
        self._block = (frame.stream_id, "END_STREAM" in frame.flags, frame.data)
        if "END_HEADERS" in frame.flags:
            self._end_block()

    def _note_continuation(self, frame):
        stream, ended, data = self._block
        self._block = (stream, ended, data + frame.data)
        if "END_HEADERS" in frame.flags:
            self._end_block()

    def _end_block(self):
        number, ended, data = self._block
        fields = [(name, value) for name, value in self.decoder.decode(data)]
        stream = self.streams.setdefault(number, Stream())
        if stream.headers is not None:
            stream.trailers = fields
        elif dict(fields)[":status"].startswith("1"):
            stream.interim.append(fields)
        else:
            stream.headers = fields
        stream.ended |= ended

    def _note_data(self, frame):
        stream = self.streams[frame.stream_id]
        stream.body += frame.data
        stream.ended |= "END_STREAM" in frame.flags
        if self.reads and frame.flow_controlled_length:
            self.send_quietly(WindowUpdateFrame(0, window_increment=frame.flow_controlled_length))
            if not stream.ended:
                self.send_quietly(WindowUpdateFrame(frame.stream_id, window_increment=frame.flow_controlled_length))

    def send_quietly(self, frame):
        """What the other side may have gone away from."""
        try:
            self.frame(frame)
        except OSError:
            pass

    # Waiting

    def until(self, condition):
        """Reads until that is true; False if the connection ends before."""
        while not condition():
            if self.read() is None:
                return condition()
        return True

    def response(self, stream):
        """The whole answer; fails if the stream is reset."""
        self.until(lambda: self.streams[stream].over)
        had = self.streams[stream]
        assert had.ended, f"stream {stream} was not answered: reset {had.reset}, {self.goaway}, closed {self.closed}"
        return had.response()

    def get(self, path="/", **more):
        return self.response(self.ask(path, **more))

    def post(self, path, body, headers=(), length=True, **more):
        headers = list(headers) + [("content-length", str(len(body)))] * length
        stream = self.ask(path, method="POST", headers=headers, end=False, **more)
        self.data(stream, body)
        return self.response(stream)

    def wait_end(self):
        """Until the connection is closed; the code of the GOAWAY, None without one."""
        self.until(lambda: self.closed)
        return self.goaway.error_code if self.goaway else None


def raw_frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def ask_once(port, path="/", **more):
    """One request on a connection of its own."""
    connection = {name: more.pop(name) for name in ("tls", "sni") if name in more}
    with Http2(port, **connection) as client:
        return client.get(path, **more)

