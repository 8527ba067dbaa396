// Compiled without contraction of a*b+c, and with nothing of the mathematics library but floor and sqrt, which IEEE 754
// defines to the bit: that is what makes the set the same everywhere.
#include "engine/data/procedural.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/error.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"

namespace kagami {
namespace {

constexpr int side = 32;
constexpr int channels = 3;
constexpr int cells = 4;  // of clouds and bends along a side
constexpr int shape_rows = 3;
constexpr int max_shapes = shape_rows * shape_rows;

using Colour = std::array<double, channels>;

struct Point {
  double x = 0, y = 0;
};

double dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
Point rotated(Point p, Point direction) {
  return {p.x * direction.x + p.y * direction.y, p.y * direction.x - p.x * direction.y};
}

/// Draws in a fixed order from an image's own stream.
class Draws {
 public:
  Draws(std::uint64_t seed, int split, std::int64_t index)
      : random_(seed, Purpose::procedural_data, static_cast<std::uint32_t>(split), static_cast<std::uint32_t>(index),
                0) {}
  double uniform(double low, double high) { return low + (high - low) * unit_float(random_.next()); }
  std::uint32_t word() { return random_.next(); }
  Point point(double low, double high) {
    const double x = uniform(low, high);
    return {x, uniform(low, high)};
  }
  /// Uniform on the unit circle, without sine and cosine.
  Point direction() {
    for (;;) {
      const Point p = point(-1, 1);
      const double squared = dot(p, p);
      if (squared > 1 || squared < 0.01) continue;
      const double length = std::sqrt(squared);
      return {p.x / length, p.y / length};
    }
  }
  /// A random lightness with a random tint: were colours freer, two views of an image could be matched by them alone.
  Colour colour() {
    constexpr double tint = 0.15;
    const double lightness = uniform(0.1, 0.9);
    Colour colour;
    for (double& c : colour) c = lightness + uniform(-tint, tint);
    return colour;
  }

 private:
  Philox random_;
};

/// Values at the corners of cells x cells squares, blended in between.
template <int components>
class Field {
 public:
  Field(Draws& draws, double strength) {
    for (auto& row : corners_) {
      for (auto& corner : row) {
        for (double& value : corner) value = draws.uniform(-strength, strength);
      }
    }
  }
  std::array<double, components> at(int x, int y) const {
    constexpr double cell = static_cast<double>(side) / cells;
    const int column = static_cast<int>(x / cell), row = static_cast<int>(y / cell);
    const double right = x / cell - column, down = y / cell - row;
    std::array<double, components> result;
    for (int c = 0; c < components; ++c) {
      const double upper = corners_[row][column][c] * (1 - right) + corners_[row][column + 1][c] * right;
      const double lower = corners_[row + 1][column][c] * (1 - right) + corners_[row + 1][column + 1][c] * right;
      result[c] = upper * (1 - down) + lower * down;
    }
    return result;
  }

 private:
  std::array<std::array<std::array<double, components>, cells + 1>, cells + 1> corners_;
};

/// One of the shapes scattered over an image.
struct Shape {
  Point centre, direction;
  double radius = 0;
};

struct Scene {
  Point centre, direction;
  double period = 0;  ///< of textures, in pixels
  std::array<Shape, max_shapes> shapes;
  int shape_count = 0;
};

/// Distance to the nearest multiple of the period.
double fold(double x, double period) { return std::abs(x - period * std::floor(x / period + 0.5)); }

/// Positive where both or neither are: the boundary is where either changes sign.
double same_sign(double a, double b) {
  const double nearest = std::min(std::abs(a), std::abs(b));
  return (a < 0) == (b < 0) ? nearest : -nearest;
}

// Patterns: about the signed distance in pixels from p to the edge, positive inside. Textures get p rotated and moved.
double stripes(const Scene& s, Point p) { return s.period / 4 - fold(p.x, s.period); }
double zigzag(const Scene& s, Point p) {
  const double bent = p.x + 1.2 * fold(p.y, 2.2 * s.period);
  return (s.period / 4 - fold(bent, s.period)) * 0.64;
}
double checkerboard(const Scene& s, Point p) {
  const double width = 1.6 * s.period;
  return same_sign(width / 4 - fold(p.x, width), width / 4 - fold(p.y, width));
}
double mesh(const Scene& s, Point p) {
  const double width = 1.3 * s.period;
  return std::max(0.14 * width - fold(p.x, width), 0.14 * width - fold(p.y, width));
}
double rings(const Scene& s, Point p) { return s.period / 4 - fold(std::sqrt(dot(p, p)), s.period); }
double bricks(const Scene& s, Point p) {
  const double height = 0.95 * s.period, length = 2.2 * height, joint = 0.17 * height;
  const double row = std::floor(p.y / height);
  const bool even = row == 2 * std::floor(row / 2);
  return std::max(joint - fold(p.y, height), joint - fold(p.x + (even ? 0 : length / 2), length));
}

double disc(double radius, Point p) { return radius - std::sqrt(dot(p, p)); }
double square(double radius, Point p) { return 0.88 * radius - std::max(std::abs(p.x), std::abs(p.y)); }
double triangle(double radius, Point p) {
  constexpr double half_root3 = 0.86602540378443865;
  return 0.6 * radius - std::max(p.y, half_root3 * std::abs(p.x) - 0.5 * p.y);
}
double cross(double radius, Point p) {
  const double x = std::abs(p.x), y = std::abs(p.y);
  const double arm = 0.33 * radius, length = 1.1 * radius;
  return std::max(std::min(arm - x, length - y), std::min(length - x, arm - y));
}

template <double (*outline)(double radius, Point p)>
double scattered(const Scene& s, Point p) {
  double inside = -side;
  for (int i = 0; i < s.shape_count; ++i) {
    const Shape& shape = s.shapes[i];
    const Point from_centre{p.x - shape.centre.x, p.y - shape.centre.y};
    inside = std::max(inside, outline(shape.radius, rotated(from_centre, shape.direction)));
  }
  return inside;
}

struct Class {
  const char* name;
  double (*pattern)(const Scene&, Point);
  bool texture;
};

constexpr Class classes[] = {{"stripes", stripes, true},
                             {"zigzag", zigzag, true},
                             {"checkerboard", checkerboard, true},
                             {"mesh", mesh, true},
                             {"rings", rings, true},
                             {"bricks", bricks, true},
                             {"discs", scattered<disc>, false},
                             {"squares", scattered<square>, false},
                             {"triangles", scattered<triangle>, false},
                             {"crosses", scattered<cross>, false}};
constexpr int class_count = std::size(classes);

Scene draw_scene(Draws& draws) {
  Scene scene;
  scene.centre = draws.point(0, side);
  scene.direction = draws.direction();
  scene.period = draws.uniform(4, 8);
  const double radius = draws.uniform(3.2, 5);
  // One shape in each cell of a grid, but for a few cells: scattered, yet not in one heap.
  bool left_out[max_shapes] = {};
  for (int i = 0; i < 3; ++i) left_out[draws.word() % max_shapes] = true;
  constexpr double cell = static_cast<double>(side) / shape_rows;
  for (int i = 0; i < max_shapes; ++i) {
    const Point within = draws.point(0.15 * cell, 0.85 * cell);
    Shape shape;
    shape.centre = {(i % shape_rows) * cell + within.x, (i / shape_rows) * cell + within.y};
    shape.direction = draws.direction();
    shape.radius = radius * draws.uniform(0.85, 1.15);
    if (!left_out[i]) scene.shapes[scene.shape_count++] = shape;
  }
  return scene;
}

/// A colour that drifts across the image: a gradient and clouds.
struct Ground {
  Colour colour;
  Point gradient[channels];
  Field<channels> clouds;

  explicit Ground(Draws& draws)
      : colour(draws.colour()),
        gradient{slope(draws), slope(draws), slope(draws)},
        clouds(draws, draws.uniform(0, 0.15)) {}
  static Point slope(Draws& draws) { return draws.point(-0.15 / side, 0.15 / side); }

  Colour at(int x, int y) const {
    Colour result = clouds.at(x, y);
    for (int c = 0; c < channels; ++c) {
      result[c] += colour[c] + gradient[c].x * (x - side / 2) + gradient[c].y * (y - side / 2);
    }
    return result;
  }
};

double contrast(const Colour& a, const Colour& b) {
  double squared = 0;
  for (int c = 0; c < channels; ++c) squared += (a[c] - b[c]) * (a[c] - b[c]);
  return squared;
}

void draw_image(std::uint64_t seed, int split, std::int64_t index, std::uint8_t* pixels) {
  Draws draws(seed, split, index);
  const Class& kind = classes[index % class_count];
  const Scene scene = draw_scene(draws);
  const Field<2> bend(draws, draws.uniform(0, 2.5));
  const Ground back(draws);
  Ground front(draws);
  while (contrast(front.colour, back.colour) < 0.18) front.colour = draws.colour();
  const double noise = draws.uniform(0.01, 0.06);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const auto [bend_x, bend_y] = bend.at(x, y);
      const Point p{x + 0.5 + bend_x, y + 0.5 + bend_y};
      const Point moved = rotated({p.x - scene.centre.x, p.y - scene.centre.y}, scene.direction);
      const double inside = std::clamp(0.5 + kind.pattern(scene, kind.texture ? moved : p), 0.0, 1.0);
      const Colour a = back.at(x, y), b = front.at(x, y);
      std::uint32_t word = draws.word();
      for (int c = 0; c < channels; ++c, word >>= 10) {
        const double grain = noise * ((word & 1023U) / 511.5 - 1);
        const double value = a[c] + (b[c] - a[c]) * inside + grain;
        *pixels++ = static_cast<std::uint8_t>(std::clamp(value, 0.0, 1.0) * 255 + 0.5);
      }
    }
  }
}

ImageSet draw_split(std::uint64_t seed, int split, const char* name, std::int64_t count) {
  constexpr std::int64_t image_bytes = side * side * channels;
  const auto pixels = std::make_shared<std::vector<std::uint8_t>>(static_cast<std::size_t>(count * image_bytes));
  cpu::parallel_for(count, 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) draw_image(seed, split, i, pixels->data() + i * image_bytes);
  });
  ImageSet set;
  set.pixels = *pixels;
  set.memory = pixels;
  for (std::int64_t i = 0; i < count; ++i) {
    set.offsets.push_back(i * image_bytes);
    set.heights.push_back(side);
    set.widths.push_back(side);
    set.labels.push_back(static_cast<std::int32_t>(i % class_count));
    set.sources.push_back(text(name, "/", i));
  }
  return set;
}

}  // namespace

Dataset procedural_data(std::int64_t train_images, std::int64_t test_images, std::uint64_t seed) {
  check(train_images >= 0 && test_images >= 0, "procedural_data: ", train_images, " and ", test_images, " images");
  Dataset data;
  data.name = "procedural";
  for (const Class& kind : classes) data.class_names.emplace_back(kind.name);
  data.train = draw_split(seed, 0, "train", train_images);
  data.test = draw_split(seed, 1, "test", test_images);
  return data;
}

}  // namespace kagami
