// The three faces of a convolution by oneDNN, as one foreign function of XLA:CPU. gvlab/onednn.py builds and calls it.
//
// Images lie as [batch, height, width, channel], kernels as [height, width, channels of a group, features]. oneDNN
// chooses the order of a kernel's numbers in which it works; images stay in theirs. A convolution to few channels, which
// it computes slowly, is one matrix product of all pixels with all entries of the kernel, added up in place.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

#define GVLAB_PUBLIC extern "C" __attribute__((visibility("default")))

namespace {

namespace ffi = xla::ffi;
using dnnl::memory;
using Numbers = ffi::Buffer<ffi::F32>;
using Integers = ffi::Span<const int64_t>;

enum Face : int64_t { kDown = 0, kUp = 1, kKernelGradient = 2 };

int threads = 1;

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// What is worked out once for all convolutions of the same sizes.
struct Plan {
  memory::desc large, small, given_kernel, own_kernel, workspace, reorder_workspace;
  dnnl::primitive convolution, reorder;
  memory::desc rows, columns, products;
  dnnl::primitive product;

  bool Reorders() const { return own_kernel != given_kernel; }
};

bool HasFewChannels(const memory::dims& kernel) { return kernel[0] * kernel[1] * kernel[2] <= 2 * kernel[3]; }

template <typename Made, typename Description>
void Take(Plan& plan, const Description& description, const memory::desc& kernel) {
  plan.own_kernel = kernel;
  plan.workspace = description.scratchpad_desc();
  plan.convolution = Made(description);
}

Plan Work(Face face, const memory::dims& large, const memory::dims& small, const memory::dims& kernel,
          const memory::dims& strides, const memory::dims& before, const memory::dims& after) {
  const auto f32 = memory::data_type::f32;
  const auto direct = dnnl::algorithm::convolution_direct;
  const int64_t groups = large[3] / kernel[2];
  const auto pixels = [&](const memory::dims& of) {
    return memory::desc({of[0], of[3], of[1], of[2]}, f32, memory::format_tag::nhwc);
  };
  const memory::dims whole{kernel[3], kernel[2], kernel[0], kernel[1]};
  const memory::dims shared{groups, kernel[3] / groups, kernel[2], kernel[0], kernel[1]};
  const memory::dims& sizes = groups == 1 ? whole : shared;
  const auto given = groups == 1 ? memory::format_tag::hwio : memory::format_tag::hwigo;

  Plan plan;
  plan.large = pixels(large);
  plan.small = pixels(small);
  plan.given_kernel = memory::desc(sizes, f32, given);
  const memory::desc free(sizes, f32, memory::format_tag::any);
  dnnl::primitive_attr ours;  // a workspace of the caller's: XLA may run the same plan on two threads at once
  ours.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::convolution_forward::primitive_desc down(Engine(), dnnl::prop_kind::forward_training, direct, plan.large,
                                                       free, plan.small, strides, before, after, ours);
  if (face == kUp && groups == 1 && HasFewChannels(kernel)) {
    const int64_t pixels_of_all = small[0] * small[1] * small[2], taps = kernel[0] * kernel[1] * kernel[2];
    plan.rows = memory::desc({pixels_of_all, small[3]}, f32, memory::format_tag::ab);
    plan.columns = memory::desc({small[3], taps}, f32, memory::format_tag::ba);
    plan.products = memory::desc({pixels_of_all, taps}, f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc product(Engine(), plan.rows, plan.columns, plan.products, ours);
    plan.workspace = product.scratchpad_desc();
    plan.product = dnnl::matmul(product);
    return plan;
  }
  if (face == kDown) {
    Take<dnnl::convolution_forward>(plan, down, down.weights_desc());
  } else if (face == kUp) {
    const dnnl::convolution_backward_data::primitive_desc up(Engine(), direct, plan.large, free, plan.small, strides,
                                                             before, after, down, ours);
    Take<dnnl::convolution_backward_data>(plan, up, up.weights_desc());
  } else {
    const dnnl::convolution_backward_weights::primitive_desc gradient(Engine(), direct, plan.large, free, plan.small,
                                                                      strides, before, after, down, ours);
    Take<dnnl::convolution_backward_weights>(plan, gradient, gradient.diff_weights_desc());
  }
  if (plan.Reorders()) {
    const memory::desc &from = face == kKernelGradient ? plan.own_kernel : plan.given_kernel,
                       &to = face == kKernelGradient ? plan.given_kernel : plan.own_kernel;
    const dnnl::reorder::primitive_desc reorder(Engine(), from, Engine(), to, ours);
    plan.reorder_workspace = reorder.scratchpad_desc();
    plan.reorder = dnnl::reorder(reorder);
  }
  return plan;
}

// Adds each product of a small image's pixel and a kernel's entry to the pixel of the large image that it belongs to.
void AddUp(const float* products, float* large, const memory::dims& larges, const memory::dims& smalls,
           const memory::dims& kernel, const memory::dims& strides, const memory::dims& before) {
  const int64_t height = larges[1], width = larges[2], channels = larges[3];
#pragma omp parallel for
  for (int64_t n = 0; n < larges[0]; ++n) {
    float* image = large + n * height * width * channels;
    std::fill(image, image + height * width * channels, 0.0f);
    const float* from = products + n * smalls[1] * smalls[2] * kernel[0] * kernel[1] * channels;
    for (int64_t y = 0; y < smalls[1]; ++y)
      for (int64_t x = 0; x < smalls[2]; ++x)
        for (int64_t i = 0; i < kernel[0]; ++i) {
          const int64_t row = y * strides[0] - before[0] + i;
          for (int64_t j = 0; j < kernel[1]; ++j, from += channels) {
            const int64_t column = x * strides[1] - before[1] + j;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            for (int64_t c = 0; c < channels; ++c) image[(row * width + column) * channels + c] += from[c];
          }
        }
  }
}

// Room that a thread keeps from call to call.
class Room {
 public:
  ~Room() { std::free(at_); }
  memory For(const memory::desc& what) {
    if (what.get_size() > size_) {
      std::free(at_);
      size_ = (what.get_size() + 63) / 64 * 64;
      at_ = std::aligned_alloc(64, size_);
      if (!at_) throw std::bad_alloc();
    }
    return memory(what, Engine(), at_);
  }

 private:
  void* at_ = nullptr;
  size_t size_ = 0;
};

ffi::Error Run(Numbers first, Numbers second, ffi::ResultBuffer<ffi::F32> result, int64_t face, Integers strides,
               Integers padding) try {
  Numbers &large = face == kUp ? *result : first, &kernel = face == kKernelGradient ? *result : second,
          &small = face == kDown ? *result : face == kUp ? first : second;
  const auto sizes = [](Integers of) { return memory::dims(of.begin(), of.end()); };
  const memory::dims sides[] = {sizes(large.dimensions()), sizes(small.dimensions()), sizes(kernel.dimensions()),
                                sizes(strides), {padding[0], padding[2]}, {padding[1], padding[3]}};

  static std::mutex mutex;
  static std::map<std::pair<int64_t, std::vector<memory::dims>>, std::unique_ptr<const Plan>> plans;
  const Plan* plan;
  {
    const std::lock_guard<std::mutex> one_at_a_time(mutex);
    auto& known = plans[{face, {std::begin(sides), std::end(sides)}}];
    if (!known) {
      omp_set_num_threads(threads);
      known = std::make_unique<const Plan>(
          Work(static_cast<Face>(face), sides[0], sides[1], sides[2], sides[3], sides[4], sides[5]));
    }
    plan = known.get();
  }

  omp_set_num_threads(threads);  // OpenMP keeps it for each calling thread, and XLA has several
  static thread_local Room workspace, own_kernel;
  static thread_local dnnl::stream stream(Engine());
  if (plan->product) {
    static thread_local Room products;
    memory made = products.For(plan->products);
    plan->product.execute(stream, {{DNNL_ARG_SRC, memory(plan->rows, Engine(), small.typed_data())},
                                   {DNNL_ARG_WEIGHTS, memory(plan->columns, Engine(), kernel.typed_data())},
                                   {DNNL_ARG_DST, made},
                                   {DNNL_ARG_SCRATCHPAD, workspace.For(plan->workspace)}});
    stream.wait();
    AddUp(static_cast<const float*>(made.get_data_handle()), large.typed_data(), sides[0], sides[1], sides[2], sides[3],
          sides[4]);
    return ffi::Error::Success();
  }
  memory given(plan->given_kernel, Engine(), kernel.typed_data());
  memory own = plan->Reorders() ? own_kernel.For(plan->own_kernel) : given;
  const auto reorder = [&](memory& from, memory& to) {
    plan->reorder.execute(stream, {{DNNL_ARG_FROM, from},
                                   {DNNL_ARG_TO, to},
                                   {DNNL_ARG_SCRATCHPAD, workspace.For(plan->reorder_workspace)}});
  };
  if (plan->Reorders() && face != kKernelGradient) reorder(given, own);
  const bool down = face == kDown;
  plan->convolution.execute(stream, {{face == kUp ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC,
                                      memory(plan->large, Engine(), large.typed_data())},
                                     {face == kKernelGradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, own},
                                     {down ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST,
                                      memory(plan->small, Engine(), small.typed_data())},
                                     {DNNL_ARG_SCRATCHPAD, workspace.For(plan->workspace)}});
  if (plan->Reorders() && face == kKernelGradient) reorder(own, given);
  stream.wait();
  return ffi::Error::Success();
} catch (const std::exception& error) {
  return ffi::Error(ffi::ErrorCode::kInternal, std::string("oneDNN: ") + error.what());
}

}  // namespace

GVLAB_PUBLIC void gvlab_set_threads(int number) { threads = number; }

GVLAB_PUBLIC XLA_FFI_Error* gvlab_convolution(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(gvlab_convolution, Run,
                              ffi::Ffi::Bind()
                                  .Arg<Numbers>()
                                  .Arg<Numbers>()
                                  .Ret<Numbers>()
                                  .Attr<int64_t>("face")
                                  .Attr<Integers>("strides")
                                  .Attr<Integers>("padding"));
