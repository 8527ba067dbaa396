#pragma once
// Contrastive losses of batches whose graph does not fit in memory.
#include "ssl/method.h"

namespace kagami {

/// Adds the gradient of method.loss(views) to the parameters and returns the loss, keeping the graph of `images` images
/// at a time: the vectors of all images without a graph; the loss and its gradient with respect to them, exactly as in
/// one piece; then each part again, with its graph (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size
/// under Memory Limited Setup", section 3). A third more arithmetic. Batch norm's statistics are those of a part: the
/// gradient is that of one piece whose batch norms have a group for each part and view. `images` divides their number.
Tensor backward_in_parts(ContrastiveMethod& method, const Views& views, std::int64_t images);

}  // namespace kagami
