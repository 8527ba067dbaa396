#include "apps/support/progress.h"

#include <gtest/gtest.h>

namespace kagami::apps {
namespace {

TEST(Progress, SaysWhatIsKnown) {
  ProgressValues values;
  values.epoch = 2;
  values.epochs = 19;
  values.step = 40;
  values.steps = 589;
  EXPECT_EQ(progress_text(values), "epoch 2/19  step 40/589");
  values.loss = 4.25;
  values.images_per_second = 1851.6;
  values.contrastive_accuracy = 0.5;
  values.std_sqrt_d = 0.98;
  values.mean_norm = 0.0511;
  values.verdict = "healthy";
  values.knn = 0.4;
  values.seconds_left = 92;
  EXPECT_EQ(progress_text(values),
            "epoch 2/19  step 40/589  loss 4.2500  1852 img/s  acc 50.0 %  std·√d 0.980  m_o 0.051  healthy  kNN 40.0 %  "
            "left 1 min 32 s");
  EXPECT_EQ(progress_text(values, 79),
            "epoch 2/19  step 40/589  loss 4.2500  healthy  kNN 40.0 %  left 1 min 32 s");
  EXPECT_EQ(progress_text(values, 50), "epoch 2/19  step 40/589  loss 4.2500  kNN 40.0 %");
  EXPECT_EQ(progress_text(values, 30), "epoch 2/19  step 40/589");
  EXPECT_EQ(progress_text(values, 12), "epoch 2/19  ");
}

TEST(Progress, PlainLinesKeepApart) {
  ::testing::internal::CaptureStdout();
  {
    ProgressLine progress(false, 80);
    progress.show({});
    progress.show({});  // too soon
    progress.show({}, true);
    progress.say("done");
  }
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "epoch 0/0  step 0/0\nepoch 0/0  step 0/0\ndone\n");
}

TEST(Progress, ATerminalLineIsCutAndReplaced) {
  ::testing::internal::CaptureStdout();
  {
    ProgressLine progress(true, 12);
    progress.show({});
    progress.say("done");
  }
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "\repoch 0/0  \033[K\r\033[Kdone\n");
}

}  // namespace
}  // namespace kagami::apps
