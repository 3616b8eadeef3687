// HTTP/2 on a client's connection (RFC 9113): nghttp2 reads and writes the frames, streams carry
// the exchanges, and what a client makes us do without asking for anything is bounded.
//
// What streams have to send is framed and written from the loop, all of them at once, and no more
// of it is framed than the client takes soon: so the frames of several streams share a write, and
// one that is slow holds its bytes in its own queue.
//
// nghttp2 stays in http2_*. None of its calls that send may come from its callbacks: they note what
// is to be done, and the deferred Work() does it.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/http2/flood.h"
#include "proto/http2/head.h"
#include "worker/http/client/client_connection.h"
#include "worker/http/client/http2_stream.h"
#include "worker/http/client/linger.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {

class ServerNames;

class Http2Connection final : public ClientSession {
 public:
  // `unread`: what has been read of the connection already.
  Http2Connection(ClientConnection& connection, Slice unread);
  ~Http2Connection() override;

  // ClientSession
  void Start() override;
  void CloseWhenIdle() override;
  void CloseNow() override;
  void OnTimer() override;

  // --- For its streams ---
  ClientConnection& connection() { return connection_; }
  Runtime& runtime() { return runtime_; }
  nghttp2_session* session() { return session_.get(); }  // null once the connection is closed
  void ScheduleWork() { work_.Schedule(); }
  void NoteAwaitingWindow() { streams_await_window_ = true; }
  bool blocked() const { return blocked_; }                    // the socket takes no more now
  uint64_t sent() const { return out_.sent(); }                // bytes that it has taken, ever
  bool client_has_ended() const { return client_has_ended_; }  // the connection, without a reset
  bool has_lost_client() const { return has_lost_client_; }    // it closed, or the connection broke
  uint64_t head_began_ms() const { return head_began_ms_; }    // the first frame of the last head
  size_t preread_size() const { return server().http2.body_preread_size; }
  // The stream has bytes to send, or its end.
  void ResumeData(Http2Stream& stream);
  bool can_splice() const { return connection_.transport().can_splice(); }
  void SetNoDelay(bool on) { connection_.transport().SetNoDelay(on); }
  // Nothing of a stream is left to be done (Http2Stream::over): it goes, from the loop.
  void NoteOver();
  // We have reset a stream before the client has ended it.
  void NoteCut(int32_t id);
  // The client has made us reset a stream.
  void NoteProvokedReset();
  // The stream's response is out, and what is left of its request is on its way: it has a moment.
  // False: too many have it already.
  bool AwaitRest(int32_t id);

 private:
  friend struct Http2Callbacks;
  enum class State : uint8_t {
    kIdle,    // no stream
    kHead,    // a head is coming, frame by frame
    kBusy,    // streams are served
    kLinger,  // the last frame is out: what the client still sends is thrown away for a while
    kClosed,
  };
  enum class Leaving : uint8_t {
    kNo,
    kTold,  // GOAWAY without a last stream: new ones are still served
    kLast,  // GOAWAY with the last one
  };
  struct StateRow;
  static const StateRow kStates[];

  struct Cuts {
    std::array<int32_t, 128> ids{};  // of the last streams that we have reset; 0: none
    size_t next = 0;
  };
  struct Rest {
    int32_t id;
    uint64_t until_ms;
  };
  struct Rests {
    explicit Rests(Http2Connection* connection);
    std::vector<Rest> awaited;  // in the order of their ends
    Timer timer;
  };
  struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  // TransportHandler
  void OnReadable() override;
  void OnWritable() override;
  void OnPlaceNeeded() override;

  void Enter(State next);
  uint64_t HeadMs() const;
  uint64_t IdleMs() const;
  uint64_t BusyMs() const;
  uint64_t ToldMs() const;
  uint64_t LingerMs() const;
  void UpdateState();

  bool SubmitSettings();
  void AppendSettings(std::string_view frame);
  void Open(std::string_view bytes);
  void Feed(std::string_view bytes);
  void Work();
  void Write();
  bool Fill();
  void TellStreams();
  void RemoveOver();
  void CloseIfDone();
  void LeaveIfSpent();
  void Leave();
  void LeaveNow();
  void Terminate(uint32_t error);
  void DropHead();
  void Break();
  void LoseClient();
  void Close();
  void Linger();
  void ReadAndDrop();
  void OnSendTimeout();
  void OnRestTimer();

  // From nghttp2's callbacks.
  Http2Stream* Find(int32_t id);  // null: nghttp2 has closed it
  int OnBeforeSend(const nghttp2_frame& frame);
  int OnBeginFrame(const nghttp2_frame_hd& frame);
  int OnBeginHeaders(const nghttp2_frame& frame);
  int OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int OnFrame(const nghttp2_frame& frame);
  void OnRequest(Http2Stream& stream, bool end_stream);
  void Prioritize(int32_t id, const proto::HeaderList& headers);
  void OnReset(int32_t id, uint32_t error);
  void OnWindow(int32_t id);
  int OnData(int32_t id, bool is_last, std::string_view bytes);
  void OnFrameSent(const nghttp2_frame& frame);
  void OnGoawaySent(const nghttp2_goaway& goaway);
  void OnStreamClosed(int32_t id);
  int SendData(int32_t id, std::string_view frame_head, size_t length);
  int Judge(bool calm);
  [[gnu::cold]] void LogFault(std::string_view what) const;
  bool IsFull() const;
  [[gnu::cold]] void EndByHead(Http2Stream& stream, uint32_t error);
  void FollowServer(std::string_view name, std::string_view value);
  const ServerNames& names() const;
  bool IsReused(const nghttp2_frame_hd& frame);
  int Cut(int32_t id, uint32_t error);
  proto::Http2HeadRules Rules() const;
  const conf::Server& server() const;
  const conf::ClientSettings& client_settings() const { return server().root->client; }

  ClientConnection& connection_;
  Runtime& runtime_;
  ClientInfo& info_;
  Slice unread_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  State state_ = State::kIdle;
  Leaving leaving_ = Leaving::kNo;
  uint64_t told_until_ms_ = 0;  // with kTold: the client's answer is waited for
  bool has_begun_ = false;      // there has been a stream
  Timer send_timer_;
  Deferred work_;
  OutputQueue out_;
  bool blocked_ = false;
  bool client_has_ended_ = false;
  bool has_lost_client_ = false;
  ReadBlock input_;
  Slice feeding_;        // the bytes that nghttp2 reads now
  std::string opening_;  // as far as it has come
  bool is_open_ = false;
  bool has_said_settings_ = false;
  bool has_own_settings_ = false;  // in place of the client's: their acknowledgement is not sent
  proto::RequestHeadBuilder builder_;
  proto::FloodGuard guard_;
  int32_t head_of_ = 0;          // the stream whose head comes; 0: none
  size_t head_length_ = 0;       // of its frames
  uint64_t head_began_ms_ = 0;   // its first one
  size_t data_left_ = 0;         // of the DATA frame that comes
  bool settings_known_ = false;  // the client has acknowledged ours
  std::vector<Http2StreamPtr> streams_;
  Http2Stream* found_ = nullptr;    // by Find, the last time; null once it is closed
  std::vector<Http2Stream*> told_;  // reused
  std::vector<Http2Stream*> fed_;   // have got some of their bodies just now
  bool any_over_ = false;
  bool streams_await_window_ = false;  // some may; see Http2Stream::OnWindow
  std::unique_ptr<Cuts> cuts_;         // null before the first
  std::unique_ptr<Rests> rests_;       // likewise
  LingerClock linger_;
};

// Whether bytes begin as the preface of a client with prior knowledge does (RFC 9113 3.4).
enum class Preface : uint8_t { kNo, kMaybe, kYes };
Preface MatchPreface(std::string_view bytes);
bool SpeaksHttp2InPlain(const ClientInfo& client);

}  // namespace limpet::worker
