// SPDX-License-Identifier: Apache-2.0
// Sockets handed from one server to the next, both in this process.
#include "base/handover.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

namespace fairlead {
namespace {

Fd udp_socket() {
  Fd made(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in loopback = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
  EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback), 0);
  return made;
}

uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return address.sin_port;
}

using namespace std::chrono_literals;

class Handover : public ::testing::Test {
 protected:
  Handover() {
    char pattern[] = "/tmp/fairlead-handover-XXXXXX";
    directory = mkdtemp(pattern);
    path = directory + "/s";
  }
  ~Handover() override { std::filesystem::remove_all(directory); }

  // The running server, with so many sockets to give; runs until it hears what became of it.
  void run_server(size_t sockets) {
    for (size_t i = 0; i < sockets; ++i) owned.push_back(udp_socket());
    thread = std::thread([this] {
      Loop loop;
      auto succession =
          Succession::listen(loop, path,
                             {[this] {
                                std::vector<int> all;
                                for (const Fd& socket : owned) all.push_back(socket.get());
                                return all;
                              },
                              [this] { failed.store(true); }, [this] { done.store(true); }});
      listening.store(succession.ok() ? 1 : -1);
      loop.run_until([this] { return failed.load() || done.load(); }, 20s);
    });
    while (listening.load() == 0) std::this_thread::sleep_for(1ms);
    ASSERT_EQ(listening.load(), 1);
  }

  std::string directory;
  std::string path;
  std::vector<Fd> owned;
  std::thread thread;
  std::atomic<int> listening{0};
  std::atomic<bool> failed{false};
  std::atomic<bool> done{false};
};

TEST_F(Handover, GivesEverySocketAndHearsThatItMayGo) {
  run_server(450);  // more than one message takes
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto met = Predecessor::meet(path);
  ASSERT_TRUE(met.ok()) << met.error().message();
  ASSERT_NE(*met, nullptr);
  const std::vector<Fd> sockets = (*met)->take_sockets();
  ASSERT_EQ(sockets.size(), owned.size());
  for (size_t i = 0; i < sockets.size(); ++i) EXPECT_EQ(port_of(sockets[i]), port_of(owned[i]));
  EXPECT_FALSE(done.load() || failed.load());
  (*met)->dismiss();
  thread.join();
  EXPECT_TRUE(done.load());
}

TEST_F(Handover, GoesOnWhenTheSuccessorGoes) {
  run_server(2);
  {
    auto met = Predecessor::meet(path);
    ASSERT_TRUE(met.ok() && *met);
  }
  thread.join();
  EXPECT_TRUE(failed.load());
  EXPECT_FALSE(done.load());
}

TEST_F(Handover, StartsAsEverWhenNobodyIsThere) {
  const auto nothing = Predecessor::meet(path);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(*nothing, nullptr);
  run_server(1);
  (*Predecessor::meet(path))->dismiss();
  thread.join();
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto left_behind = Predecessor::meet(path);
  ASSERT_TRUE(left_behind.ok());
  EXPECT_EQ(*left_behind, nullptr);
}

TEST_F(Handover, SaysWhatIsWrong) {
  const auto too_long = Predecessor::meet(directory + "/" + std::string(200, 'x'));
  ASSERT_FALSE(too_long.ok());
  EXPECT_NE(too_long.error().message().find("is longer than a socket's path"), std::string::npos);
  // Somebody else in place of a server: closes at once, then says what none would.
  const Fd other(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  std::thread answers([&] {
    { const Fd closed(accept(other.get(), nullptr, nullptr)); }
    const Fd taken(accept(other.get(), nullptr, nullptr));
    EXPECT_EQ(send(taken.get(), "x", 1, 0), 1);
  });
  const auto gone = Predecessor::meet(path);
  EXPECT_TRUE(gone.ok() && *gone == nullptr);
  const auto met = Predecessor::meet(path);
  answers.join();
  ASSERT_FALSE(met.ok());
  EXPECT_NE(met.error().message().find("has not given its sockets"), std::string::npos);
}

}  // namespace
}  // namespace fairlead
