#pragma once
// Every op of the engine: values here, gradients in engine/ops/<op>.cu. Shapes broadcast where two tensors meet.
// Values and gradients have the type of x. Beside bf16 values parameters, statistics and losses are f32; bf16 is
// CUDA's.
#include <optional>

#include "engine/autograd.h"
#include "engine/tensor.h"
#include "engine/weight.h"
#include "kernels/batch_norm.h"
#include "kernels/philox.h"
#include "kernels/step_scalars.h"

namespace kagami {

// Arithmetic.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor add_scalar(const Tensor& x, double term);
Tensor neg(const Tensor& x);

// Types: f32, f64 and bf16.
Tensor cast(const Tensor& x, DType dtype);  ///< x itself where it is of that type
Tensor widen(const Tensor& x);              ///< bf16 as f32, anything else as it is

// Elementary functions.
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);  ///< natural
Tensor sqrt(const Tensor& x);
Tensor pow(const Tensor& x, double exponent);
Tensor abs(const Tensor& x);  ///< gradient 0 at 0

// Activations.
Tensor relu(const Tensor& x);  ///< gradient 0 at 0
Tensor gelu(const Tensor& x);  ///< x Phi(x), exact (erf); Hendrycks and Gimpel 2016
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);

// Choosing values.
/// x kept within [low, high]; the gradient passes where low <= x <= high.
Tensor clamp(const Tensor& x, double low, double high);
/// a where `mask` is not 0, else b. The mask may be of any type and takes no gradient.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);

// Reductions, over everything (to a scalar) or over one axis (negative: from the end; dropped, or kept as 1). Sums are
// taken in double; results of bf16 values are f32.
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, int axis, bool keep_dims = false);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, int axis, bool keep_dims = false);
/// NaN where there is one; the gradient goes to the first maximum.
Tensor max(const Tensor& x);
Tensor max(const Tensor& x, int axis, bool keep_dims = false);
/// NaN where there is one; the gradient goes to the first minimum.
Tensor min(const Tensor& x);
Tensor min(const Tensor& x, int axis, bool keep_dims = false);
enum class Variance { biased, unbiased };  ///< squared deviations over n, or over n - 1
Tensor var(const Tensor& x, Variance kind);
Tensor var(const Tensor& x, int axis, Variance kind, bool keep_dims = false);

// Moving values: of any type, differentiable where it is f32, f64 or bf16.
Tensor concat(const std::vector<Tensor>& parts, int axis);
/// Pieces of the given sizes, which add up to the axis.
std::vector<Tensor> split(const Tensor& x, const std::vector<std::int64_t>& sizes, int axis);
/// [first, first + count) of an axis; of the leading one it shares x's memory, as rows() does.
Tensor slice(const Tensor& x, int axis, std::int64_t first, std::int64_t count);
/// Axis i of the result is axis order[i] of x.
Tensor permute(const Tensor& x, const std::vector<int>& order);
Tensor transpose(const Tensor& x, int a, int b);  ///< two axes exchanged
/// x[..., indices[j], ...] along an axis; `indices` [n] i32, repeats allowed.
Tensor gather(const Tensor& x, const Tensor& indices, int axis);

// Products of matrices. Beside a Weight, x and the weight are read as the narrower of their types: bf16 where the
// weight has copies in bf16, or x is bf16.
/// op(a) op(b) over the last two axes, op being the transpose where asked for. Leading axes are equal, or one operand
/// is a single matrix that all of the batch share.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
/// x w^T + bias, then ReLU where asked: x [..., in], w [out, in], bias [out] or empty.
Tensor linear(const Tensor& x, const Weight& w, const Tensor& bias = {}, bool relu = false);

// Convolution, normalisation, pooling. Images are [n,h,w,c], convolution weights [k,r,s,c].
Tensor conv2d(const Tensor& x, const Weight& w, int stride, int pad, const Tensor& bias = {});

struct BatchNormOptions {
  double momentum = 0.1;  ///< of the running statistics: running = (1 - momentum) running + momentum batch
  double eps = 1e-5;
  bool training = true;  ///< batch statistics, and the running ones move; else the running ones are used
  int groups = 1;        ///< equal parts of the leading axis with statistics of their own (in training)
  RunningUpdate update = RunningUpdate::in_order;
};
/// gamma (x - mean) / sqrt(var + eps) + beta per channel (the last axis), as PyTorch computes it; gamma, beta and the
/// running statistics [channels] may be empty. Throws where a channel of a group has a single value in training.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options = {});
/// act(batch_norm(conv2d(x, w)) + residual) in fewer passes; act is ReLU or nothing, the residual may be empty.
Tensor conv_bn_act(const Tensor& x, const Weight& w, const Tensor& gamma, const Tensor& beta,
                   const Tensor& running_mean, const Tensor& running_var, int stride, int pad,
                   const BatchNormOptions& options = {}, bool relu = true, const Tensor& residual = {});
/// The gradient of a maximum goes to the first of equal values. kernel <= 15, pad <= kernel / 2.
Tensor max_pool(const Tensor& x, int kernel, int stride, int pad);
Tensor global_avg_pool(const Tensor& x);  ///< [n,h,w,c] to [n,c]

// Over the last axis.
Tensor l2_normalize(const Tensor& x);  ///< x / max(||x||, 1e-12)
/// gamma (x - mean) / sqrt(var + eps) + beta with the biased variance; gamma and beta [dim]. Ba, Kiros and Hinton 2016
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps = 1e-5);

// Over any axis.
Tensor softmax(const Tensor& x, int axis);
Tensor log_softmax(const Tensor& x, int axis);

/// Drops values with the given probability and divides the others by 1 - probability; returns x itself when not
/// training. Element i is decided by word i % 4 of block i / 4 of `random`: one stream for a layer and a step,
/// Philox(seed, Purpose::dropout, layer, 0, step). With `step` (StepState::data()), the step is read there, so that a
/// recorded step drops others each time. Srivastava et al. 2014
Tensor dropout(const Tensor& x, double probability, bool training, const Philox& random,
               const StepScalars* step = nullptr);

// Losses: scalars.
struct ContrastiveLoss {
  Tensor loss;
  Tensor accuracy;  ///< outside the graph: the share of rows more similar to their positive than to every negative
};
/// SimCLR's loss (Chen et al. 2020, equation 1), averaged over the 2N rows of z [2N, dim]: the two views of N images,
/// row i + N being the positive of row i. Normalises the rows itself; keeps no 2N x 2N matrix.
ContrastiveLoss ntxent(const Tensor& z, double temperature);
/// What the keys of other queries are to a query.
enum class OtherKeys { ignored, negatives };
/// InfoNCE (van den Oord et al. 2018) as MoCo has it, averaged over the queries [n, dim]: query i must find key i of
/// the keys [n, dim] among the vectors of the queue [m, dim] (or empty) and, where they are negatives, the other keys.
/// Similarity is the dot product over the temperature; rows are taken as they are, so normalise them. The queue gets no
/// gradient, and must not be written before backward(), which throws then; keeps no n x m matrix.
ContrastiveLoss info_nce(const Tensor& queries, const Tensor& keys, const Tensor& queue, double temperature,
                         OtherKeys others = OtherKeys::ignored);
/// -log softmax(logits)[label], averaged over the rows; logits [rows, classes], labels i32 [rows]. Rows with the label
/// `ignore` do not count; if none is left, that is an error.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, std::optional<std::int32_t> ignore = {});

}  // namespace kagami
