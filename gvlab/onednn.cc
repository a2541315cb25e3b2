// The three faces of a convolution by oneDNN, as one foreign function of XLA:CPU. gvlab/onednn.py builds and calls it.
//
// Images lie as [batch, height, width, channel], kernels as [height, width, channels of a group, features]. oneDNN
// chooses the order of a kernel's numbers in which it works; images stay in theirs. A convolution to few channels, which
// it computes slowly, is one matrix product of all pixels with all entries of the kernel, added up in place.

#include <omp.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
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

// The thread from which OpenMP's team is called, for one convolution after another. There would be a team for every thread
// that calls, and XLA calls from as many as there are processors.
class Crew {
 public:
  // Gives how many threads a team has: never more than are asked for, but the environment may allow fewer.
  int Start(int threads) {
    std::thread([this] { Work(); }).detach();
    int there = 1;
    threads_ = threads;
    Do([&] {
      omp_set_dynamic(0);
      omp_set_num_threads(threads);
#pragma omp parallel
#pragma omp master
      there = omp_get_num_threads();
    });
    return there;
  }

  // For so many products; with 1 whoever calls computes them: to wake others takes longer than a small convolution.
  int Threads(double products) const { return products < 8e6 ? 1 : threads_; }

  void Do(const std::function<void()>& job) {
    const std::lock_guard<std::mutex> one_at_a_time(callers_);
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = &job;
    error_ = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [this] { return job_ == nullptr; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return job_ != nullptr; });
      try {
        (*job_)();
      } catch (...) {
        error_ = std::current_exception();
      }
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  int threads_ = 1;
  std::mutex callers_, mutex_;
  std::condition_variable changed_;
  const std::function<void()>* job_ = nullptr;
  std::exception_ptr error_;
};

// Never destroyed: at the end of the process it may be waited for.
Crew& TheCrew() {
  static Crew& crew = *new Crew;
  return crew;
}

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

template <typename Primitive, typename Description>
void Take(Plan& plan, const Description& description, const memory::desc& kernel) {
  plan.own_kernel = kernel;
  plan.workspace = description.scratchpad_desc();
  plan.convolution = Primitive(description);
}

Plan Made(Face face, int64_t groups, const memory::dims& large, const memory::dims& small, const memory::dims& kernel,
          const memory::dims& strides, const memory::dims& before, const memory::dims& after) {
  if (large[3] != kernel[2] * groups || small[3] != kernel[3] || kernel[3] % groups)
    throw std::invalid_argument("the channels of the images and of the kernel do not fit");
  const auto f32 = memory::data_type::f32;
  const auto direct = dnnl::algorithm::convolution_direct;
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
  dnnl::primitive_attr ours;
  ours.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // one for all plans, not one for each
  ours.set_fpmath_mode(dnnl::fpmath_mode::strict);
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

// Room that a thread keeps from call to call, to the end of the process.
class Room {
 public:
  memory For(const memory::desc& what) {
    if (what.get_size() > size_) {
      const size_t wanted = (what.get_size() + 63) / 64 * 64;
      std::free(at_);
      size_ = 0;
      at_ = std::aligned_alloc(64, wanted);
      if (!at_) throw std::bad_alloc();
      size_ = wanted;
    }
    return memory(what, Engine(), at_);
  }

 private:
  void* at_ = nullptr;
  size_t size_ = 0;
};

void Convolve(Face face, int64_t groups, float* large, float* small, float* kernel,
              const std::vector<memory::dims>& sides) {
  static std::map<std::pair<std::vector<int64_t>, std::vector<memory::dims>>, const Plan> plans;
  static std::mutex mutex;
  static thread_local Room workspace, own_kernel, products;
  static thread_local dnnl::stream stream(Engine());
  const std::pair<std::vector<int64_t>, std::vector<memory::dims>> key{{face, groups}, sides};
  const Plan* found;
  {
    const std::lock_guard<std::mutex> one_at_a_time(mutex);
    auto known = plans.find(key);
    if (known == plans.end())
      known = plans.emplace(key, Made(face, groups, sides[0], sides[1], sides[2], sides[3], sides[4], sides[5])).first;
    found = &known->second;
  }
  const Plan& plan = *found;

  if (plan.product) {
    memory made = products.For(plan.products);
    plan.product.execute(stream, {{DNNL_ARG_SRC, memory(plan.rows, Engine(), small)},
                                  {DNNL_ARG_WEIGHTS, memory(plan.columns, Engine(), kernel)},
                                  {DNNL_ARG_DST, made},
                                  {DNNL_ARG_SCRATCHPAD, workspace.For(plan.workspace)}});
    stream.wait();
    AddUp(static_cast<const float*>(made.get_data_handle()), large, sides[0], sides[1], sides[2], sides[3], sides[4]);
    return;
  }
  memory given(plan.given_kernel, Engine(), kernel);
  memory own = plan.Reorders() ? own_kernel.For(plan.own_kernel) : given;
  const auto reorder = [&](memory& from, memory& to) {
    const memory room = workspace.For(plan.reorder_workspace);
    plan.reorder.execute(stream, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, room}});
  };
  if (plan.Reorders() && face != kKernelGradient) reorder(given, own);
  plan.convolution.execute(
      stream, {{face == kUp ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, memory(plan.large, Engine(), large)},
               {face == kKernelGradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, own},
               {face == kDown ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, memory(plan.small, Engine(), small)},
               {DNNL_ARG_SCRATCHPAD, workspace.For(plan.workspace)}});
  if (plan.Reorders() && face == kKernelGradient) reorder(own, given);
  stream.wait();
}

ffi::Error Run(Numbers first, Numbers second, ffi::ResultBuffer<ffi::F32> result, int64_t face, int64_t groups,
               Integers strides, Integers padding) try {
  Numbers &large = face == kUp ? *result : first, &kernel = face == kKernelGradient ? *result : second,
          &small = face == kDown ? *result : face == kUp ? first : second;
  const auto sizes = [](Integers of) { return memory::dims(of.begin(), of.end()); };
  const std::vector<memory::dims> sides{sizes(large.dimensions()), sizes(small.dimensions()),
                                        sizes(kernel.dimensions()), sizes(strides),
                                        {padding[0], padding[2]},   {padding[1], padding[3]}};
  const auto convolve = [&](int threads) {
    omp_set_num_threads(threads);  // a plan is made and run with as many
    Convolve(static_cast<Face>(face), groups, large.typed_data(), small.typed_data(), kernel.typed_data(), sides);
  };
  const memory::dims &of = sides[1], &weights = sides[2];
  const int threads = TheCrew().Threads(1.0 * of[0] * of[1] * of[2] * of[3] * weights[0] * weights[1] * weights[2]);
  if (threads == 1)
    convolve(1);
  else
    TheCrew().Do([&] { convolve(threads); });
  return ffi::Error::Success();
} catch (const std::exception& error) {
  return ffi::Error(ffi::ErrorCode::kInternal, std::string("oneDNN: ") + error.what());
}

}  // namespace

GVLAB_PUBLIC int gvlab_start(int threads) { return TheCrew().Start(threads); }

GVLAB_PUBLIC XLA_FFI_Error* gvlab_convolution(XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(gvlab_convolution, Run,
                              ffi::Ffi::Bind()
                                  .Arg<Numbers>()
                                  .Arg<Numbers>()
                                  .Ret<Numbers>()
                                  .Attr<int64_t>("face")
                                  .Attr<int64_t>("groups")
                                  .Attr<Integers>("strides")
                                  .Attr<Integers>("padding"));
