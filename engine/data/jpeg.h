#pragma once
// JPEG through libjpeg-turbo.
#include <cstdint>
#include <span>

#include "engine/data/image.h"

namespace kagami {

/// Throws InputError with the reason where the data is cut off or damaged: what libjpeg would only warn about counts.
Image decode_jpeg(std::span<const std::uint8_t> bytes);

}  // namespace kagami
