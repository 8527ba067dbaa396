// A batch in parts has the gradient of the batch in one piece.
#include "ssl/micro_batch.h"

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/error.h"
#include "engine/ops.h"
#include "models/mlp.h"
#include "models/registry.h"
#include "tests/op_case.h"

namespace kagami {
namespace {

using test::random_tensor;

/// SimCLR with a batch norm of `groups` groups.
class Grouped final : public ContrastiveMethod {
 public:
  explicit Grouped(int groups)
      : groups_(groups),
        encoder_(make_backbone(Scope(params_).child("encoder"),
                               {.arch = "resnet8", .stem = "cifar", .width = 4, .image_size = 8})),
        projector_(Scope(params_).child("projector"), {.widths = {encoder_->features(), 6}}) {
    params_.allocate(Device::cpu(), DType::f64, 7);
    for (const Segment& s : params_.segments())  // a block that starts as the identity hides its inside
      if (s.name.ends_with("bn2.weight")) params_.find(s.name).detach().fill(0.5);
  }
  Tensor embed(const Views& views, RunningStatistics running) override {
    BatchNormOptions norm = norm_options(Mode::train, groups_);
    if (running == RunningStatistics::stay) norm.momentum = 0;
    return projector_.forward(encoder_->forward(views.all, norm), norm);
  }
  Tensor loss_of(const Tensor& z) override {
    compared_ = z.detach();
    return ntxent(z, 0.2).loss;
  }
  Params& params() override { return params_; }
  Tensor compared() const override { return compared_; }
  Tensor encode(const Tensor& images) const override { return images; }
  Tensor project(const Tensor& h) const override { return h; }

 private:
  int groups_;
  Params params_;
  std::unique_ptr<Backbone> encoder_;
  Mlp projector_;
  Tensor compared_;
};

Views random_views(int images) { return views_of(random_tensor({2 * images, 8, 8, 3}, DType::f64, 3), 2); }

void expect_equal_gradients(const Params& params, const Params& expected) {
  for (const Segment& s : params.segments()) {
    const std::vector<double> d = params.find(s.name).grad().to_host<double>();
    const std::vector<double> e = expected.find(s.name).grad().to_host<double>();
    double size = 0, distance = 0;
    for (std::size_t i = 0; i < e.size(); ++i) size += e[i] * e[i], distance += (d[i] - e[i]) * (d[i] - e[i]);
    EXPECT_GT(size, 0) << s.name;
    EXPECT_TRUE(distance <= 1e-22 * size) << s.name << ": " << distance << " of " << size;
  }
}

/// A batch of `images`, in parts of `part`, beside one piece whose batch norms have `groups` groups.
void expect_parts_like_one_piece(int images, int part, int groups) {
  Grouped parts(2), whole(groups);
  const Views views = random_views(images);
  const Tensor loss = backward_in_parts(parts, views, part);
  const Tensor expected = whole.loss(views);
  backward(expected);
  EXPECT_NEAR(loss.item(), expected.item(), 1e-12);
  expect_equal_gradients(parts.params(), whole.params());
  EXPECT_EQ(parts.compared().shape(), whole.compared().shape());
}

TEST(MicroBatch, HasTheGradientOfOnePieceWithAGroupForEachPart) { expect_parts_like_one_piece(6, 3, 4); }

TEST(MicroBatch, OnePartIsTheWholeBatch) { expect_parts_like_one_piece(4, 4, 2); }

TEST(MicroBatch, RunningStatisticsMoveOnceForEachPart) {
  Grouped parts(2), one_by_one(2);
  const Tensor all = random_tensor({12, 8, 8, 3}, DType::f64, 3);
  backward_in_parts(parts, views_of(all, 2), 3);
  for (const std::int64_t first : {0, 3}) {
    const Tensor part = Tensor::empty({6, 8, 8, 3}, DType::f64, Device::cpu());
    for (const std::int64_t view : {0, 1}) part.rows(view * 3, 3).copy_from(all.rows(view * 6 + first, 3));
    one_by_one.embed(views_of(part, 2), ContrastiveMethod::RunningStatistics::move);
  }
  int buffers = 0;
  for (const Segment& s : parts.params().buffer_segments()) {
    EXPECT_EQ(parts.params().find(s.name).to_host<double>(), one_by_one.params().find(s.name).to_host<double>())
        << s.name;
    ++buffers;
  }
  EXPECT_GT(buffers, 0);
}

TEST(MicroBatch, PartsMustDivideTheBatch) {
  Grouped method(2);
  EXPECT_THROW(backward_in_parts(method, random_views(6), 4), InputError);
  EXPECT_THROW(backward_in_parts(method, random_views(6), 0), InputError);
}

}  // namespace
}  // namespace kagami
