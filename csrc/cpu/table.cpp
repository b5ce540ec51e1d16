// The kernels of one instruction set.
#include "hudd/kernels.h"

namespace hudd::cpu::HUDD_ISA {

void quotient(const Quotient&, int threads);
void product(const Product&, int threads);
void pooled_product(const PooledProduct&, int threads);
void split(const SignedParts&, int threads);
void by_sign(const SignedParts&, int threads);
void box(const Box&, int threads);
void max_pool(const MaxPool&, int threads);
void add_differences(const Differences&, int threads);
void winograd(const Winograd&, int threads);
void image_prints(const ImagePrints&);
void image_planes(const ImagePlanes&);
void picture_luma(const Pictures&);
void picture_light(const Pictures&);
void picture_frame(const Pictures&);
void picture_detail(const Pictures&);

const Kernels kernels = {quotient,        product,       pooled_product, split,         by_sign,
                         box,             max_pool,      add_differences, winograd,     image_prints,
                         image_planes,    picture_luma,  picture_light,  picture_frame, picture_detail};

}  // namespace hudd::cpu::HUDD_ISA
