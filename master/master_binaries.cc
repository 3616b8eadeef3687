// The master's part in a change of its binary (SIGUSR2): as the old one and as the new one.
#include <fmt/format.h>

#include "master/master.h"

namespace limpet::master {
namespace {

constexpr std::chrono::milliseconds kLockPatience{500};  // with workers that are only slow

}  // namespace

// While a new binary runs, the old one's configuration file may be the new one's: it is not read.
void Master::ResumeWorkers() {
  service_manager_.Reloading();  // whoever asked for one waits for an answer
  if (state_ != State::kResting) {
    LIMPET_LOG(log(), LogLevel::kNotice, "a new binary runs: nothing is reconfigured here");
    return service_manager_.Ready("A new binary runs, nothing was reconfigured here");
  }
  LIMPET_LOG(log(), LogLevel::kNotice, "starting workers again beside the new binary");
  reclaims_ = true;
  Settle();
  state_ = State::kServing;
  StartWorkers();
  service_manager_.Ready(StatusLine());
}

void Master::ChangeBinary() {
  if (ends()) return;
  if (handover_.sibling_lives()) {
    LIMPET_LOG(
        log(), LogLevel::kNotice,
        "the changing binary signal is ignored: you should shutdown or terminate before either "
        "old or new binary's process");
    return;
  }
  // It may have ended just before this signal, and its places in zones be the next one's otherwise.
  if (succeeding_) OnPredecessorGone();
  const auto passed = WhatToPass();
  if (!passed) {
    LIMPET_LOG(log(), LogLevel::kAlert, "{}", passed.error().message);
    return;
  }
  const std::string pid_path = generation_->config().pid_path;
  if (auto status = pid_file_.Rename(fmt::format("{}{}", pid_path, kOldPidSuffix)); !status) {
    LIMPET_LOG(log(), LogLevel::kAlert, "{}", status.error().message);
    return ForgetBequest();
  }
  auto status = handover_.Start(start_.argv, *passed, [this](const Error& error) {
    LIMPET_LOG(log(), LogLevel::kAlert, "{}", error.message);
  });
  if (!status) {
    LIMPET_LOG(log(), LogLevel::kAlert, "{}", status.error().message);
    (void)pid_file_.Rename(pid_path);
    return ForgetBequest();
  }
  LIMPET_LOG(log(), LogLevel::kNotice, "start new binary process {}", handover_.successor());
}

// The other binary, which has been told of, has not begun.
void Master::ForgetBequest() {
  others_gone_ = true;
  Settle();
}

Result<Handover::Passed> Master::WhatToPass() {
  Handover::Passed passed;
  const shm::LockPatience patience(kLockPatience);
  const bool free = !others_gone_ && shm::IfFree([&] {
    const Bequest bequest = shared_->Bequeath();
    passed.others = bequest.descriptors();
    passed.notes = generation_->TellPeers() + bequest.lines();
  });
  if (!free) {
    return Error{
        std::make_error_code(std::errc::device_or_resource_busy),
        "the binary is not changed: a process stands still while it holds a lock of shared "
        "memory"};
  }
  for (const ListenSocketPtr& socket : generation_->listeners().All()) {
    passed.sockets.push_back(socket->fd());
  }
  return passed;
}

// The new binary has gone, by itself or because it was told to: everything is ours again.
void Master::OnOtherDeath(pid_t pid) {
  if (!handover_.Forget(pid)) return;
  LIMPET_LOG(log(), LogLevel::kNotice, "new binary process {} has ended", pid);
  others_gone_ = true;
  if (ends()) return Settle();
  if (auto status = pid_file_.Rename(generation_->config().pid_path); !status) {
    LIMPET_LOG(log(), LogLevel::kAlert, "{}", status.error().message);
  }
  generation_->listeners().AdoptFiles();
  OpenControl();  // the new binary had put its own socket there
  reclaims_ = true;
  Settle();
  shared_->RemoveUnowned(generation_->config().pid_path, log());
  keeper_->Write();  // what is kept is the new binary's still
  if (state_ != State::kResting) return;
  state_ = State::kServing;
  StartWorkers();
}

// What has to be done in shared memory after another binary has gone; again, where a lock was kept.
void Master::Settle() {
  if (others_gone_) others_gone_ = !shm::IfFree([this] { shared_->ForgetOthers(); });
  if (reclaims_) Reclaim();
}

// Workers that serve have the zones as they were.
void Master::Reclaim() {
  const bool displaced = shared_->IsDisplaced() || shared_->HasMoved();
  reclaims_ = !shm::IfFree([this] { generation_->Reclaim(*shared_, log()); });
  if (reclaims_ || !displaced || shared_->IsDisplaced() || state_ != State::kServing) return;
  if (!supervisor_ || !supervisor_->HasWorkersOf(generation_->number())) return;
  LIMPET_LOG(log(), LogLevel::kNotice, "workers are replaced: the session zones are others now");
  replacing_ = true;
  const Status opened = OpenGeneration(generation_->shared_config());
  replacing_ = false;
  if (opened) return ReplaceWorkers();
  shared_->NoteMovesServed();  // they go on with what they have: its news is heard
}

// The old binary has gone: from now on it is ours to remove things in the end, and to report.
void Master::OnPredecessorGone() {
  succeeding_ = false;
  others_gone_ = true;
  reclaims_ |= shared_->IsDisplaced();  // it had its workers come back, with the zones
  Settle();
  shared_->MoveHome(generation_->config().pid_path, log());
  shared_->RemoveUnowned(generation_->config().pid_path, log());
  generation_->listeners().AdoptFiles();
  LIMPET_LOG(log(), LogLevel::kNotice, "the old binary has ended, this one goes on alone");
  service_manager_.BeSilent(false);
  service_manager_.Ready(StatusLine());
}

}  // namespace limpet::master
