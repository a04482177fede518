// SPDX-License-Identifier: Apache-2.0
// Whatever an API server does to its watchers, once it behaves the store has exactly its objects.
#include <gtest/gtest.h>

#include <random>

#include "base/log.h"
#include "kube/reflector.h"
#include "tests/support/seed.h"
#include "tests/unit/kube/fake_api_server.h"

namespace fairlead::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kRuns = 300;
constexpr int kSteps = 150;

struct World {
  explicit World(uint64_t seed) : rng(seed) {
    ClientConfig config;
    config.server = "https://api";
    credentials = std::make_unique<Credentials>(*Credentials::load(clock, config, read_file));
    api = std::make_unique<ApiClient>(transport, *credentials, "test/1");
    const FakeApiServer::WatchList kModes[] = {FakeApiServer::WatchList::kServed,
                                               FakeApiServer::WatchList::kRefused,
                                               FakeApiServer::WatchList::kIgnored};
    server = std::make_unique<FakeApiServer>(transport, rng, kModes[rng() % 3]);
    ReflectorOptions options;
    options.seed = seed | 1;
    options.watch_list = rng() % 4 != 0;
    reflector = std::make_unique<TypedReflector<Namespace>>(clock, *api, store, options);
    store.subscribe([this](const Change<Namespace>& change) {
      if (change.after) {
        mirror[change.key.name] = change.after->meta.labels.at("v");
      } else {
        EXPECT_EQ(mirror.erase(change.key.name), 1u);
      }
    });
  }
  std::map<std::string, std::string> stored() const {
    std::map<std::string, std::string> result;
    for (const auto& [key, value] : store.all()) result[key.name] = value->meta.labels.at("v");
    return result;
  }

  std::mt19937_64 rng;
  ManualClock clock;
  FakeTransport transport;
  Store<Namespace> store;
  std::map<std::string, std::string> mirror;  // what a subscriber knows
  std::unique_ptr<Credentials> credentials;
  std::unique_ptr<ApiClient> api;
  std::unique_ptr<FakeApiServer> server;
  std::unique_ptr<TypedReflector<Namespace>> reflector;
};

void run(uint64_t seed) {
  World world(seed);
  const int fault_percent = static_cast<int>(world.rng() % 40);
  world.reflector->start();
  for (int step = 0; step < kSteps; ++step) {
    for (uint64_t writes = world.rng() % 4; writes > 0; --writes) world.server->write();
    if (world.rng() % 15 == 0) world.server->compact();
    world.server->serve(fault_percent);
    ASSERT_LE(world.transport.open_count(), 1u) << "one request at a time";
    world.clock.advance(milliseconds(world.rng() % 8000));
  }
  world.server->mend();
  // The longest anything can last: a watch that hangs from its start, then a backoff. This server
  // does not end its watches, so the moment may fall between two of them: then a little more.
  const auto deadline = world.clock.now() + std::chrono::minutes(12);
  const auto latest = deadline + std::chrono::minutes(1);
  while (world.clock.now() < deadline ||
         (!world.reflector->status().watching && world.clock.now() < latest)) {
    world.server->serve(0);
    world.clock.advance(seconds(5));
  }
  EXPECT_TRUE(world.store.synced());
  EXPECT_TRUE(world.reflector->status().watching);
  EXPECT_EQ(world.stored(), world.server->state());
  EXPECT_EQ(world.mirror, world.server->state());
}

TEST(ReflectorRandom, ConvergesToTheServersState) {
  log::init("unit_kube", log::Level::kError);  // thousands of faults
  const uint64_t seed = test::random_seed();
  for (int i = 0; i < kRuns && !testing::Test::HasFailure(); ++i) {
    run(seed + static_cast<uint64_t>(i));
    if (testing::Test::HasFailure())
      std::printf("run %d: FAIRLEAD_SEED=%llu\n", i, static_cast<unsigned long long>(seed) + i);
  }
}

}  // namespace
}  // namespace fairlead::kube
