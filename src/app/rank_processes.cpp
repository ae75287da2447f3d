#include "app/rank_processes.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "txtsum/core/clock.h"
#include "txtsum/core/error.h"
#include "txtsum/core/log.h"
#include "txtsum/core/stop_signal.h"

extern char** environ;

namespace txtsum::app {
namespace {

constexpr int kPollMilliseconds = 50;
constexpr int kCannotStart = 127;
/// What starts ranks sets these; a rank reads ours alone.
constexpr std::array<std::string_view, 9> kRankVariables{
    "RANK=",        "WORLD_SIZE=", "LOCAL_RANK=", "LOCAL_WORLD_SIZE=", "MASTER_ADDR=",
    "MASTER_PORT=", "OMPI_",       "PMI_",        "MPI_LOCAL"};

[[noreturn]] void fail(const std::string& what) { throw core::EnvironmentError(what + ": " + std::strerror(errno)); }

/// A port of the loopback that nobody listens at now.
int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool found = descriptor >= 0 && ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (!found) fail("no port of the loopback is free");
  ::close(descriptor);
  return ntohs(address.sin_port);
}

int usable_cpus() {
  cpu_set_t cpus;
  return ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
}

std::string program_path() {
  std::string path(4096, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) fail("/proc/self/exe");
  path.resize(static_cast<size_t>(length));
  return path;
}

/// Strings as execve takes them.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

int status_of(int waited) { return WIFSIGNALED(waited) ? 128 + WTERMSIG(waited) : WEXITSTATUS(waited); }

std::string in_words(int waited) {
  if (!WIFSIGNALED(waited)) return "ended with exit code " + std::to_string(WEXITSTATUS(waited));
  return "was killed by signal " + std::to_string(WTERMSIG(waited)) + " (" + ::strsignal(WTERMSIG(waited)) + ")";
}

/// One rank.
class RankProcess {
 public:
  explicit RankProcess(int64_t rank) : rank_(rank) {}
  ~RankProcess() {
    if (output_ >= 0) ::close(output_);
    if (!is_running()) return;
    send(SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  RankProcess(const RankProcess&) = delete;
  RankProcess& operator=(const RankProcess&) = delete;

  void start(const std::string& program, const std::vector<char*>& arguments, const std::vector<char*>& environment) {
    std::array<int, 2> ends{-1, -1};
    if (rank_ > 0 && ::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
    const pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ == 0) become_rank(parent, ends[1], program, arguments, environment);
    if (ends[1] >= 0) ::close(ends[1]);
    output_ = ends[0];
    if (process_ < 0) fail("cannot start rank " + std::to_string(rank_));
    ::setpgid(process_, process_);
    if (output_ >= 0) ::fcntl(output_, F_SETFL, O_NONBLOCK);
  }

  int64_t rank() const { return rank_; }
  pid_t process() const { return process_; }
  bool is_running() const { return process_ > 0 && !has_ended_; }
  int output() const { return output_; }

  /// Whether it has ended since it was asked last; `waited` is then how, as waitpid says it.
  bool has_just_ended(int& waited) {
    if (!is_running() || ::waitpid(process_, &waited, WNOHANG) != process_) return false;
    has_ended_ = true;
    return true;
  }

  /// To the rank and what it has started.
  void send(int signal) const {
    if (is_running()) ::kill(-process_, signal);
  }

  /// Passes whole lines on; at the end the rest too.
  void pass_output_on() {
    std::array<char, 16384> bytes;
    ssize_t length = 0;
    while (output_ >= 0 && (length = ::read(output_, bytes.data(), bytes.size())) > 0) {
      line_.append(bytes.data(), static_cast<size_t>(length));
      size_t end = 0;
      while ((end = line_.find('\n')) != std::string::npos) write_line(end + 1);
    }
    const bool is_over = output_ >= 0 && (length == 0 || (errno != EAGAIN && errno != EINTR));
    if (is_over) {
      ::close(output_);
      output_ = -1;
    }
    if (output_ < 0) write_rest();
  }
  void write_rest() {
    if (line_.empty()) return;
    line_ += '\n';
    write_line(line_.size());
  }

 private:
  /// In the child, where between fork and exec nothing may allocate or lock.
  [[noreturn]] void become_rank(pid_t parent, int output, const std::string& program,
                                const std::vector<char*>& arguments, const std::vector<char*>& environment) const {
    // A group of its own: a Ctrl-C of the terminal reaches the launcher alone, which passes it on once.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kCannotStart);
    if (output >= 0) {
      const int nothing = ::open("/dev/null", O_RDONLY);
      ::dup2(nothing, STDIN_FILENO);
      ::dup2(output, STDOUT_FILENO);
      ::dup2(output, STDERR_FILENO);
    }
    ::execve(program.c_str(), arguments.data(), environment.data());
    ::_exit(kCannotStart);
  }

  void write_line(size_t length) {
    const std::string text = "rank " + std::to_string(rank_) + ": " + line_.substr(0, length);
    line_.erase(0, length);
    for (size_t done = 0; done < text.size();) {
      const ssize_t written = ::write(STDERR_FILENO, text.data() + done, text.size() - done);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      done += static_cast<size_t>(written);
    }
  }

  int64_t rank_;
  pid_t process_ = -1;
  bool has_ended_ = false;
  int output_ = -1;
  std::string line_;
};

/// All ranks, from their start to their end.
class RankProcesses {
 public:
  explicit RankProcesses(const RankProcessOptions& options) : options_(options) {
    for (int64_t r = 0; r < options_.processes; ++r) ranks_.push_back(std::make_unique<RankProcess>(r));
  }

  int run() {
    start();
    while (is_any_running()) {
      watch();
      pass_signal_on();
      for (const auto& rank : ranks_) {
        rank->pass_output_on();
        int waited = 0;
        if (rank->has_just_ended(waited)) note_end(*rank, waited);
      }
      end_overdue();
    }
    for (const auto& rank : ranks_) {
      rank->pass_output_on();
      rank->write_rest();
    }
    return first_status_;
  }

 private:
  static double now() { return core::system_clock().monotonic_seconds(); }

  void start() {
    const std::string program = program_path();
    std::vector<std::string> arguments{program};
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
    const std::vector<char*> argument_pointers = pointers(arguments);
    const int port = free_port();
    for (const auto& rank : ranks_) {
      std::vector<std::string> environment = environment_of(rank->rank(), port);
      rank->start(program, argument_pointers, pointers(environment));
    }
  }

  std::vector<std::string> environment_of(int64_t rank, int port) const {
    std::vector<std::string> environment;
    bool has_threads = false;
    for (char** each = environ; *each != nullptr; ++each) {
      const std::string_view text(*each);
      const auto is_ours = [&](std::string_view name) { return text.starts_with(name); };
      if (std::any_of(kRankVariables.begin(), kRankVariables.end(), is_ours)) continue;
      has_threads = has_threads || text.starts_with("OMP_NUM_THREADS=");
      environment.emplace_back(text);
    }
    const std::string world = std::to_string(options_.processes);
    environment.push_back("RANK=" + std::to_string(rank));
    environment.push_back("LOCAL_RANK=" + std::to_string(rank));
    environment.push_back("WORLD_SIZE=" + world);
    environment.push_back("LOCAL_WORLD_SIZE=" + world);
    environment.emplace_back("MASTER_ADDR=127.0.0.1");
    environment.push_back("MASTER_PORT=" + std::to_string(port));
    if (!has_threads) {
      const int64_t threads = std::max(int64_t{1}, usable_cpus() / options_.processes);
      environment.push_back("OMP_NUM_THREADS=" + std::to_string(threads));
    }
    return environment;
  }

  bool is_any_running() const {
    return std::any_of(ranks_.begin(), ranks_.end(), [](const auto& rank) { return rank->is_running(); });
  }

  void watch() const {
    std::vector<pollfd> outputs;
    for (const auto& rank : ranks_) outputs.push_back({rank->output(), POLLIN, 0});
    ::poll(outputs.data(), outputs.size(), kPollMilliseconds);
  }

  void send(int signal) const {
    for (const auto& rank : ranks_) rank->send(signal);
  }

  void pass_signal_on() {
    const int signal = core::stop_signal();
    if (signal == passed_on_) return;
    passed_on_ = signal;
    send(signal);
  }

  void note_end(const RankProcess& rank, int waited) {
    const int status = status_of(waited);
    if (status == 0) return;
    if (first_status_ == 0) first_status_ = status;
    // It was asked to stop, has saved and left: the others are at that too.
    if (passed_on_ != 0 && status == 128 + passed_on_) return;
    const std::string what =
        "rank " + std::to_string(rank.rank()) + " (process " + std::to_string(rank.process()) + ") " + in_words(waited);
    if (deadline_ > 0 || !is_any_running()) {
      core::log_error(what);
      return;
    }
    deadline_ = now() + options_.grace_seconds;
    core::log_error(what + "; the others have " + std::to_string(static_cast<int64_t>(options_.grace_seconds)) +
                    " s to end by themselves");
  }

  /// After a failure: SIGTERM when the grace is over, SIGKILL when another is.
  void end_overdue() {
    if (deadline_ == 0 || now() < deadline_) return;
    for (const auto& rank : ranks_) {
      if (!rank->is_running()) continue;
      core::log_warning("rank " + std::to_string(rank->rank()) + " (process " + std::to_string(rank->process()) +
                        ") has not ended: " + (asked_ ? "SIGKILL" : "SIGTERM"));
      rank->send(asked_ ? SIGKILL : SIGTERM);
    }
    asked_ = true;
    deadline_ = now() + options_.grace_seconds;
  }

  const RankProcessOptions& options_;
  std::vector<std::unique_ptr<RankProcess>> ranks_;
  int first_status_ = 0;
  int passed_on_ = 0;      ///< The signal that the ranks were sent last.
  double deadline_ = 0.0;  ///< When more is done about ranks that remain after a failure; 0: there was none.
  bool asked_ = false;
};

}  // namespace

int run_rank_processes(const RankProcessOptions& options) { return RankProcesses(options).run(); }

}  // namespace txtsum::app
