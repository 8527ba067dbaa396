#include "engine/npy.h"

#include <gtest/gtest.h>

#include "engine/error.h"
#include "tests/engine/temporary_folder.h"

namespace kagami {
namespace {
using testing::expect_message;
using testing::message_of;
using testing::read_bytes;
using testing::TemporaryFolder;
using testing::write_bytes;

TEST(Npy, ReadsWhatItWrote) {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, -4.5F, 5e-20F, 6};
  write_npy(folder / "a.npy", values, 3, 2);
  const Matrix matrix = read_npy(folder / "a.npy");
  EXPECT_EQ(matrix.rows, 3);
  EXPECT_EQ(matrix.columns, 2);
  EXPECT_EQ(matrix.values, values);
  write_npy(folder / "empty.npy", {}, 0, 128);
  EXPECT_EQ(read_npy(folder / "empty.npy").columns, 128);
}

TEST(Npy, TheHeaderIsWhatNumpyWrites) {
  const TemporaryFolder folder;
  write_npy(folder / "a.npy", std::vector<float>(6), 3, 2);
  const std::string expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
  const std::string bytes = read_bytes(folder / "a.npy");
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, expected.size()), expected);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.size(), 128U + 24U);
}

TEST(Npy, CutAtAnyByteIsRefused) {
  const TemporaryFolder folder;
  write_npy(folder / "a.npy", std::vector<float>(6), 3, 2);
  const std::string bytes = read_bytes(folder / "a.npy");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    write_bytes(folder / "cut.npy", std::string_view(bytes).substr(0, cut));
    expect_message(message_of<InputError>([&] { read_npy(folder / "cut.npy"); }), {"cut.npy"});
  }
}

TEST(Npy, WrongNumberOfValuesIsRefused) {
  expect_message(message_of<InputError>([] { write_npy("a.npy", std::vector<float>(5), 3, 2); }),
                 {"5 values", "[3,2]"});
}

}  // namespace
}  // namespace kagami
