// The inner loops, written once over 16 lanes of float32 and compiled once per path. The including file defines, in an
// unnamed namespace, before it includes this:
//   kLanes             floats in one register (4, 8 or 16)
//   Lanes              a vector type of kLanes floats
//   fma_lanes, sqrt_lanes
//   kTileRows, kTileVecs  rows and 16-lane columns of the matrix product's tile of accumulators
// Everything here is in that unnamed namespace too, and no function of the standard library is called: code compiled for
// one instruction set must not become the program's only copy of an inline function.
//
// Rules that keep the bits the same on all paths: 16 lanes always, whatever a register holds; tails padded to 16 lanes
// and computed as the rest; no chain over k is ever split or reordered; every multiply-add that is fused is written fma.

namespace {

using vqcodec::runtime::Kernels;
using vqcodec::runtime::kPanelWidth;

#define VQCODEC_INLINE inline __attribute__((always_inline))

constexpr int kVecLanes = 16;
constexpr int kParts = kVecLanes / kLanes;
typedef int32_t IntLanes __attribute__((vector_size(kLanes * 4)));

struct Ints {
  IntLanes part[kParts];
};
struct Vec {
  Lanes part[kParts];
};

// Defines an operation part by part.
#define VQCODEC_PARTWISE(Result, name, args, expression)                                  \
  VQCODEC_INLINE Result name args {                                                       \
    Result result;                                                                        \
    _Pragma("GCC unroll 4") for (int p = 0; p < kParts; ++p) result.part[p] = expression; \
    return result;                                                                        \
  }
VQCODEC_PARTWISE(Vec, operator+, (Vec a, Vec b), a.part[p] + b.part[p])
VQCODEC_PARTWISE(Vec, operator-, (Vec a, Vec b), a.part[p] - b.part[p])
VQCODEC_PARTWISE(Vec, operator*, (Vec a, Vec b), a.part[p] * b.part[p])
VQCODEC_PARTWISE(Vec, operator/, (Vec a, Vec b), a.part[p] / b.part[p])
VQCODEC_PARTWISE(Ints, operator<, (Vec a, Vec b), (IntLanes)(a.part[p] < b.part[p]))
VQCODEC_PARTWISE(Ints, operator>, (Vec a, Vec b), (IntLanes)(a.part[p] > b.part[p]))
VQCODEC_PARTWISE(Ints, operator==, (Vec a, Vec b), (IntLanes)(a.part[p] == b.part[p]))
VQCODEC_PARTWISE(Ints, operator+, (Ints a, Ints b), a.part[p] + b.part[p])
VQCODEC_PARTWISE(Ints, operator-, (Ints a, Ints b), a.part[p] - b.part[p])
VQCODEC_PARTWISE(Ints, operator&, (Ints a, Ints b), a.part[p] & b.part[p])
VQCODEC_PARTWISE(Ints, operator<<, (Ints a, int bits), a.part[p] << bits)
VQCODEC_PARTWISE(Ints, operator>>, (Ints a, int bits), a.part[p] >> bits)  // arithmetic
VQCODEC_PARTWISE(Vec, fma, (Vec a, Vec b, Vec c), fma_lanes(a.part[p], b.part[p], c.part[p]))
VQCODEC_PARTWISE(Vec, sqrt, (Vec a), sqrt_lanes(a.part[p]))
VQCODEC_PARTWISE(Ints, bits_of, (Vec a), (IntLanes)a.part[p])
VQCODEC_PARTWISE(Vec, from_bits, (Ints a), (Lanes)a.part[p])
VQCODEC_PARTWISE(Vec, to_float, (Ints a), __builtin_convertvector(a.part[p], Lanes))
VQCODEC_PARTWISE(Vec, set1, (float a), a - Lanes{})  // not +, which would make 0 of -0
VQCODEC_PARTWISE(Ints, set1, (int32_t a), a - IntLanes{})
// condition has all bits of a lane set or none.
VQCODEC_PARTWISE(Vec, select, (Ints condition, Vec a, Vec b), condition.part[p] ? a.part[p] : b.part[p])
VQCODEC_PARTWISE(Ints, select, (Ints condition, Ints a, Ints b), condition.part[p] ? a.part[p] : b.part[p])
#undef VQCODEC_PARTWISE

// Part by part: as one block of 64 bytes, GCC would pass values through memory.
VQCODEC_INLINE Vec load(const float* x) {
  Vec v;
  _Pragma("GCC unroll 4") for (int p = 0; p < kParts; ++p) __builtin_memcpy(&v.part[p], x + p * kLanes, sizeof(Lanes));
  return v;
}
VQCODEC_INLINE void store(float* y, Vec v) {
  _Pragma("GCC unroll 4") for (int p = 0; p < kParts; ++p) __builtin_memcpy(y + p * kLanes, &v.part[p], sizeof(Lanes));
}
VQCODEC_INLINE void store(int32_t* y, Ints v) {
  _Pragma("GCC unroll 4") for (int p = 0; p < kParts; ++p) __builtin_memcpy(y + p * kLanes, &v.part[p], sizeof(Lanes));
}

// The first `count` (below 16) values, then `fill`.
VQCODEC_INLINE Vec load_tail(const float* x, int64_t count, float fill) {
  float lanes[kVecLanes];
  for (int i = 0; i < kVecLanes; ++i) lanes[i] = i < count ? x[i] : fill;
  return load(lanes);
}
VQCODEC_INLINE void store_tail(float* y, int64_t count, Vec v) {
  float lanes[kVecLanes];
  store(lanes, v);
  for (int64_t i = 0; i < count; ++i) y[i] = lanes[i];
}

// Lane sums by halves: 8, 4, 2, 1.
VQCODEC_INLINE float sum_lanes(Vec v) {
  float s[kVecLanes];
  store(s, v);
  for (int half = kVecLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) s[i] += s[i + half];
  return s[0];
}

// ---- functions ----

// e^x = 2^n e^r with n = round(x / ln 2): polynomial of degree 6 for e^r, then two exact-or-once-rounded scalings.
VQCODEC_INLINE Vec exp_vec(Vec x) {
  // Beyond these the result is infinity or 0 anyway; NaN passes, because both comparisons are false.
  const Vec clamped = select(x > set1(89.0f), set1(89.0f), select(x < set1(-104.0f), set1(-104.0f), x));
  const Vec magic = set1(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, in the low bits
  const Vec shifted = fma(clamped, set1(1.44269504f), magic);
  const Ints n = bits_of(shifted) - bits_of(magic);
  const Vec n_float = shifted - magic;
  Vec r = fma(n_float, set1(-0.693145752f), clamped);  // ln 2 to 16 bits, so that the product is exact
  r = fma(n_float, set1(-1.42860677e-6f), r);
  Vec p = set1(0.00138143206f);
  p = fma(p, r, set1(0.00836885069f));
  p = fma(p, r, set1(0.0416684002f));
  p = fma(p, r, set1(0.166665196f));
  p = fma(p, r, set1(0.49999994f));
  p = fma(p * r, r, r) + set1(1.0f);
  const Ints half = n >> 1;
  const Vec scale_a = from_bits((half + set1(127)) << 23);
  const Vec scale_b = from_bits((n - half + set1(127)) << 23);
  const Vec result = p * scale_a * scale_b;
  return select(x == x, result, x);  // NaN: the bits of n mean nothing
}

// Rational minimax approximation x P(x^2) / Q(x^2) on |x| < 3.95, where erf is 1 in float32 from 3.92 on.
VQCODEC_INLINE Vec erf_vec(Vec x) {
  const Vec limit = set1(3.95f);
  const Vec minus_limit = set1(-3.95f);
  const Vec a = select(x > limit, limit, select(x < minus_limit, minus_limit, x));
  const Vec z = a * a;
  Vec p = set1(2.01173543e-06f);
  p = fma(p, z, set1(0.00028759861f));
  p = fma(p, z, set1(0.003917275f));
  p = fma(p, z, set1(0.0532069281f));
  p = fma(p, z, set1(0.194034845f));
  p = fma(p, z, set1(1.12837899f));
  Vec q = set1(3.78395307e-05f);
  q = fma(q, z, set1(0.00119818852f));
  q = fma(q, z, set1(0.0152706178f));
  q = fma(q, z, set1(0.115590386f));
  q = fma(q, z, set1(0.505290389f));
  q = fma(q, z, set1(1.0f));
  const Vec y = a * p / q;
  const Vec one = set1(1.0f);
  const Vec minus_one = set1(-1.0f);
  return select(y > one, one, select(y < minus_one, minus_one, y));
}

VQCODEC_INLINE Vec gelu_vec(Vec x) {
  const Vec half_x = x * set1(0.5f);
  return fma(half_x, erf_vec(x * set1(0.707106781f)), half_x);
}

VQCODEC_INLINE Vec sigmoid_vec(Vec x) { return set1(1.0f) / (set1(1.0f) + exp_vec(set1(0.0f) - x)); }

// x = 2^e m with m in [sqrt(1/2), sqrt 2): log x = e ln 2 + log m, log m by a polynomial of degree 10 in m - 1.
VQCODEC_INLINE Vec log_vec(Vec x) {
  const Vec smallest_normal = set1(1.17549435e-38f);
  const Ints is_small = x < smallest_normal;  // subnormal, 0 or negative: scaled, so that subnormals work
  const Vec scaled = select(is_small, x * set1(8388608.0f), x);
  const Ints bits = bits_of(scaled) & set1(0x7fffffff);  // no sign, so that nothing below overflows
  const Ints offset = bits - set1(0x3f3504f3);           // sqrt(1/2)
  const Ints exponent = offset >> 23;
  const Vec m = from_bits(bits - (exponent << 23));
  const Vec e = to_float(exponent) + select(is_small, set1(-23.0f), set1(0.0f));
  const Vec f = m - set1(1.0f);
  Vec p = set1(-0.0763449296f);
  p = fma(p, f, set1(0.12761575f));
  p = fma(p, f, set1(-0.131601825f));
  p = fma(p, f, set1(0.142017588f));
  p = fma(p, f, set1(-0.166233569f));
  p = fma(p, f, set1(0.200012267f));
  p = fma(p, f, set1(-0.250008196f));
  p = fma(p, f, set1(0.333333313f));
  const Vec f2 = f * f;
  Vec y = fma(e, set1(-2.12194440e-4f), p * f2 * f);  // ln 2 = 0.693359375 - 2.1219444e-4, the first with 9 bits
  y = fma(f2, set1(-0.5f), y);
  y = y + f;
  y = fma(e, set1(0.693359375f), y);
  const Vec infinity = set1(__builtin_inff());
  y = select(x == infinity, infinity, y);
  y = select(x == set1(0.0f), set1(-__builtin_inff()), y);
  y = select(x < set1(0.0f), set1(__builtin_nanf("")), y);
  return select(x == x, y, x);
}

VQCODEC_INLINE Vec log10_vec(Vec x) { return log_vec(x) * set1(0.434294482f); }

template <Vec (*function)(Vec)>
void map(const float* x, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + kVecLanes <= count; i += kVecLanes) store(y + i, function(load(x + i)));
  if (i < count) store_tail(y + i, count - i, function(load_tail(x + i, count - i, 1.0f)));
}

// ---- layers ----

void depthwise_conv1d(const float* x, int64_t x_stride, int64_t frames, int64_t channels, int64_t kernel,
                      int64_t dilation, const float* w, const float* bias, float* y, int64_t y_stride) {
  const int64_t tap_stride = dilation * x_stride;
  for (int64_t t = 0; t < frames; ++t) {
    const float* row = x + t * x_stride;
    float* out = y + t * y_stride;
    int64_t c = 0;
    for (; c + kVecLanes <= channels; c += kVecLanes) {
      Vec sum = bias != nullptr ? load(bias + c) : set1(0.0f);
      for (int64_t k = 0; k < kernel; ++k) sum = fma(load(row + k * tap_stride + c), load(w + k * channels + c), sum);
      store(out + c, sum);
    }
    if (c < channels) {
      const int64_t rest = channels - c;
      Vec sum = bias != nullptr ? load_tail(bias + c, rest, 0.0f) : set1(0.0f);
      for (int64_t k = 0; k < kernel; ++k)
        sum = fma(load_tail(row + k * tap_stride + c, rest, 0.0f), load_tail(w + k * channels + c, rest, 0.0f), sum);
      store_tail(out + c, rest, sum);
    }
  }
}

void layer_norm(const float* x, int64_t x_stride, int64_t rows, int64_t width, const float* gamma, const float* beta,
                float eps, float* y, int64_t y_stride) {
  const int64_t whole = width / kVecLanes * kVecLanes;
  const int64_t rest = width - whole;
  const float width_float = static_cast<float>(width);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * x_stride;
    float* out = y + r * y_stride;
    Vec sum = set1(0.0f);
    for (int64_t i = 0; i < whole; i += kVecLanes) sum = sum + load(row + i);
    if (rest > 0) sum = sum + load_tail(row + whole, rest, 0.0f);
    const float mean = sum_lanes(sum) / width_float;
    const Vec mean_vec = set1(mean);
    Vec squares = set1(0.0f);
    for (int64_t i = 0; i < whole; i += kVecLanes) {
      const Vec d = load(row + i) - mean_vec;
      squares = fma(d, d, squares);
    }
    if (rest > 0) {
      const Vec d = load_tail(row + whole, rest, mean) - mean_vec;  // 0 in the padding, unless the mean is not finite
      squares = fma(d, d, squares);
    }
    const float variance = sum_lanes(squares) / width_float;
    const Vec inverse = set1(1.0f / __builtin_sqrtf(variance + eps));
    for (int64_t i = 0; i < whole; i += kVecLanes)
      store(out + i, fma((load(row + i) - mean_vec) * inverse, load(gamma + i), load(beta + i)));
    if (rest > 0) {
      const Vec d = load_tail(row + whole, rest, mean) - mean_vec;
      store_tail(out + whole, rest,
                 fma(d * inverse, load_tail(gamma + whole, rest, 0.0f), load_tail(beta + whole, rest, 0.0f)));
    }
  }
}

VQCODEC_INLINE float greatest_of(const float* x, int64_t count) {
  const float minus_infinity = -__builtin_inff();
  const int64_t whole = count / kVecLanes * kVecLanes;
  Vec top = set1(minus_infinity);
  for (int64_t i = 0; i < whole; i += kVecLanes) {
    const Vec v = load(x + i);
    top = select(v > top, v, top);
  }
  if (whole < count) {
    const Vec v = load_tail(x + whole, count - whole, minus_infinity);
    top = select(v > top, v, top);
  }
  float lanes[kVecLanes];
  store(lanes, top);
  float greatest = lanes[0];
  for (int i = 1; i < kVecLanes; ++i) greatest = lanes[i] > greatest ? lanes[i] : greatest;
  return greatest;
}

// y = exp(x - greatest x); returns the sum.
VQCODEC_INLINE float exp_below_greatest(const float* x, int64_t count, float* y) {
  const int64_t whole = count / kVecLanes * kVecLanes;
  const Vec offset = set1(greatest_of(x, count));
  Vec sum = set1(0.0f);
  for (int64_t i = 0; i < whole; i += kVecLanes) {
    const Vec e = exp_vec(load(x + i) - offset);
    store(y + i, e);
    sum = sum + e;
  }
  if (whole < count) {  // exp(-inf) = 0 in the padding
    const Vec e = exp_vec(load_tail(x + whole, count - whole, -__builtin_inff()) - offset);
    store_tail(y + whole, count - whole, e);
    sum = sum + e;
  }
  return sum_lanes(sum);
}

void softmax_weights(const float* x, int64_t count, float* y) { exp_below_greatest(x, count, y); }

void softmax(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  const int64_t whole = width / kVecLanes * kVecLanes;
  const int64_t rest = width - whole;
  for (int64_t r = 0; r < rows; ++r) {
    float* out = y + r * y_stride;
    const Vec total = set1(exp_below_greatest(x + r * x_stride, width, out));
    for (int64_t i = 0; i < whole; i += kVecLanes) store(out + i, load(out + i) / total);
    if (rest > 0) store_tail(out + whole, rest, load_tail(out + whole, rest, 0.0f) / total);
  }
}

void softmax_groups(const float* x, int64_t group_stride, int64_t num_groups, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i += kVecLanes) {
    const int64_t rest = count - i;
    const bool is_whole = rest >= kVecLanes;
    const auto get = [&](const float* from, int64_t g) {
      const float* at = from + g * group_stride + i;
      return is_whole ? load(at) : load_tail(at, rest, 0.0f);
    };
    const auto put = [&](int64_t g, Vec v) {
      float* at = y + g * group_stride + i;
      if (is_whole)
        store(at, v);
      else
        store_tail(at, rest, v);
    };
    Vec top = get(x, 0);
    for (int64_t g = 1; g < num_groups; ++g) {
      const Vec v = get(x, g);
      top = select(v > top, v, top);
    }
    Vec sum = set1(0.0f);
    for (int64_t g = 0; g < num_groups; ++g) {
      const Vec e = exp_vec(get(x, g) - top);
      put(g, e);
      sum = sum + e;
    }
    for (int64_t g = 0; g < num_groups; ++g) put(g, get(y, g) / sum);
  }
}

// Least (or greatest) value per lane first, then over lanes; of equals the lowest index.
template <bool kLeast>
void argbest(const float* x, int64_t x_stride, int64_t rows, int64_t width, uint16_t* index, int64_t index_stride) {
  const float worst = kLeast ? __builtin_inff() : -__builtin_inff();
  const int32_t kNone = 0x7fffffff;
  int32_t first[kVecLanes];
  for (int i = 0; i < kVecLanes; ++i) first[i] = i;
  Ints first_index;
  __builtin_memcpy(&first_index, first, sizeof(first_index));
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * x_stride;
    Vec best = set1(worst);
    Ints best_at = set1(kNone);
    Ints at = first_index;
    for (int64_t i = 0; i < width; i += kVecLanes) {
      const Vec v = i + kVecLanes <= width ? load(row + i) : load_tail(row + i, width - i, worst);
      const Ints better = kLeast ? v < best : v > best;
      best = select(better, v, best);
      best_at = select(better, at, best_at);
      at = at + set1(kVecLanes);
    }
    float values[kVecLanes];
    int32_t places[kVecLanes];
    store(values, best);
    store(places, best_at);
    float value = values[0];
    int32_t place = places[0];
    for (int i = 1; i < kVecLanes; ++i) {
      const bool better = kLeast ? values[i] < value : values[i] > value;
      if (better || (values[i] == value && places[i] < place)) {
        value = values[i];
        place = places[i];
      }
    }
    index[r * index_stride] = static_cast<uint16_t>(place == kNone ? 0 : place);
  }
}

// ---- matrix product ----

// A tile of kRows rows by kVecs * 16 columns, begun at column `column` of the panels; its accumulators stay in registers
// for the whole of k.
template <int kRows, int kVecs>
VQCODEC_INLINE void gemm_tile(const float* x, int64_t x_stride, int64_t depth, const float* panels,
                              int64_t panel_stride, int64_t column, const float* start, bool add, float* y,
                              int64_t y_stride) {
  const float* b[kVecs];
  for (int v = 0; v < kVecs; ++v) {
    const int64_t c = column + v * kVecLanes;
    b[v] = panels + c / kPanelWidth * panel_stride + c % kPanelWidth;
  }
  Vec sum[kRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) {
      const int64_t c = v * kVecLanes;
      if (start == nullptr)
        sum[r][v] = load(y + r * y_stride + c);
      else if (add)
        sum[r][v] = load(y + r * y_stride + c) + load(start + column + c);
      else
        sum[r][v] = load(start + column + c);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec w[kVecs];
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) w[v] = load(b[v] + k * kPanelWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec a = set1(x[r * x_stride + k]);
#pragma GCC unroll 16
      for (int v = 0; v < kVecs; ++v) sum[r][v] = fma(a, w[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < kVecs; ++v) store(y + r * y_stride + v * kVecLanes, sum[r][v]);
}

template <int kRows, int kVecs>
void gemm_columns(const float* x, int64_t x_stride, int64_t depth, const float* panels, int64_t panel_stride,
                  const float* start, bool add, float* y, int64_t y_stride, int64_t column, int64_t columns) {
  constexpr int64_t kTileColumns = kVecs * kVecLanes;
  for (; column + kTileColumns <= columns; column += kTileColumns)
    gemm_tile<kRows, kVecs>(x, x_stride, depth, panels, panel_stride, column, start, add, y + column, y_stride);
  if (column >= columns) return;
  if constexpr (kVecs > 1) {
    gemm_columns<kRows, kVecs / 2>(x, x_stride, depth, panels, panel_stride, start, add, y, y_stride, column, columns);
  } else {  // fewer than 16 columns left: in a tile of our own
    float tile[kRows * kVecLanes] = {};
    const int64_t rest = columns - column;
    if (start == nullptr || add)
      for (int r = 0; r < kRows; ++r)
        for (int64_t c = 0; c < rest; ++c) tile[r * kVecLanes + c] = y[r * y_stride + column + c];
    gemm_tile<kRows, 1>(x, x_stride, depth, panels, panel_stride, column, start, add, tile, kVecLanes);
    for (int r = 0; r < kRows; ++r)
      for (int64_t c = 0; c < rest; ++c) y[r * y_stride + column + c] = tile[r * kVecLanes + c];
  }
}

// Few rows leave accumulators free for more columns, which hides the latency of fma.
constexpr int vecs_for_rows(int rows) {
  int vecs = kTileVecs;
  while (rows * vecs * 2 <= kTileRows * kTileVecs && vecs < 8) vecs *= 2;
  return vecs;
}

template <int kRows>
void gemm_rows(int64_t rows, const float* x, int64_t x_stride, int64_t depth, const float* panels, int64_t panel_stride,
               const float* start, bool add, float* y, int64_t y_stride, int64_t columns) {
  if (rows == kRows) {
    gemm_columns<kRows, vecs_for_rows(kRows)>(x, x_stride, depth, panels, panel_stride, start, add, y, y_stride, 0,
                                              columns);
  } else if constexpr (kRows > 1) {
    gemm_rows<kRows - 1>(rows, x, x_stride, depth, panels, panel_stride, start, add, y, y_stride, columns);
  }
}

void gemm(const float* x, int64_t x_stride, int64_t rows, int64_t depth, const float* panels, int64_t panel_stride,
          const float* start, bool add, float* y, int64_t y_stride, int64_t columns) {
  // Panels outside, rows inside: a panel stays in the nearest cache while all rows pass.
  constexpr int64_t kColumnsAtOnce = kTileVecs * kVecLanes;
  const int64_t whole_rows = rows / kTileRows * kTileRows;
  if (whole_rows > 0) {
    for (int64_t column = 0; column < columns; column += kColumnsAtOnce) {
      const int64_t end = column + kColumnsAtOnce < columns ? column + kColumnsAtOnce : columns;
      for (int64_t r = 0; r < whole_rows; r += kTileRows)
        gemm_columns<kTileRows, kTileVecs>(x + r * x_stride, x_stride, depth, panels, panel_stride, start, add,
                                           y + r * y_stride, y_stride, column, end);
    }
  }
  if constexpr (kTileRows > 1) {
    if (whole_rows < rows)
      gemm_rows<kTileRows - 1>(rows - whole_rows, x + whole_rows * x_stride, x_stride, depth, panels, panel_stride,
                               start, add, y + whole_rows * y_stride, y_stride, columns);
  }
}

constexpr Kernels kTable = {
    gemm,           depthwise_conv1d, layer_norm, map<gelu_vec>, map<erf_vec>,    map<exp_vec>,  map<sigmoid_vec>,
    map<log_vec>,   map<log10_vec>,   map<sqrt>,  softmax,       softmax_weights, softmax_groups, argbest<true>,
    argbest<false>};

}  // namespace
