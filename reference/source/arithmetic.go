package source

// Files of the module that compute ops.
const (
	ops    = "ml/backend/ggml/ggml/src/ggml-cpu/ops.cpp"
	binary = "ml/backend/ggml/ggml/src/ggml-cpu/binary-ops.cpp"
	matmul = "ml/backend/ggml/ggml/src/ggml-cpu/ggml-cpu.c"
	vec    = "ml/backend/ggml/ggml/src/ggml-cpu/vec.cpp"
	cuda   = "ml/backend/ggml/ggml/src/ggml-cuda/"
)

// computation is what does an op's arithmetic: a function on the CPU, a kernel
// on a GPU.
//
// ggml_cuda_mul_mat (ggml-cuda.cu) chooses among several kernels for a product,
// by types, shapes and the number of tokens. The one that tells most is quoted
// and its note names the others; traces/gpu has what a GPU launched.
type computation struct{ cpu, cuda trail }

// onCPU is a trail to a function, with the lines that tell what it does.
func onCPU(file, head, symbol, shows string, rows int) trail {
	return trail{file: file, function: []string{head}, symbol: symbol, shows: shows, rows: rows}
}

// onGPU is a trail to a kernel, with the lines that tell what it does.
func onGPU(file, name, note string, first piece, then ...piece) trail {
	return trail{file: cuda + file, function: []string{"static __global__ void " + name + "("}, symbol: name,
		shows: first.shows, rows: first.rows, then: then, note: note}
}

var (
	lookUp = computation{
		onCPU(ops, "void ggml_compute_forward_get_rows(", "ggml_compute_forward_get_rows", "switch (src0->type)", 1),
		onGPU("getrows.cu", "k_get_rows_float",
			"src0 is the table and i01 the id of a token. llama.cpp itself leaves the table of embeddings on the CPU and looks rows up there",
			piece{"const int i01 = src1[", 1}, piece{"const src0_t * src0_row =", 3}),
	}
	norm = computation{
		onCPU(ops, "static void ggml_compute_forward_rms_norm_f32(", "ggml_compute_forward_rms_norm_f32", "1.0f/sqrtf(mean + eps)", 1),
		onGPU("norm.cu", "rms_norm_f32", "mul is the norm's weight; before the mean is taken, tmp is summed over the block",
			piece{"tmp += xi * xi;", 1}, piece{"const float mean = tmp / ncols;", 2}, piece{"= scale * x[col] * mul[mul_col];", 1}),
	}
	product = computation{
		onCPU(matmul, "static void ggml_compute_forward_mul_mat_one_chunk(", "ggml_compute_forward_mul_mat_one_chunk",
			"vec_dot(ne00, &tmp[ir0 - iir0]", 0),
		trail{file: cuda + "ggml-cuda.cu", function: []string{"static void ggml_cuda_op_mul_mat_cublas("},
			line: "cublasSgemm(ctx.cublas_handle(id), CUBLAS_OP_T, CUBLAS_OP_N,", symbol: "cublasSgemm", rows: 5,
			note: "src0 is the weight, one row per output, which to cuBLAS is a column, hence CUBLAS_OP_T; ne00 = ne10 is the row's width, ldc the number of outputs. " +
				"The handle is set to TF32 (common.cuh), so f32 operands lose digits while sums stay f32; F16 weights go to cublasGemmEx above it, with the same operands and f16 sums. One token takes mul_mat_vec_f (mmvf.cu), up to 16 take mul_mat_f (mmf.cu), quantised weights mul_mat_vec_q and mul_mat_q"},
	}
	bias     = computation{addition, added("bin_op is op_add and src1s the bias, ne10 elements long: every token gets the same")}
	residual = computation{addition, added("bin_op is op_add and src1s the residual stream, of the same shape as src0")}
	rotation = computation{
		onCPU(ops, "static void ggml_compute_forward_rope_flt(", "ggml_compute_forward_rope_flt", "case GGML_ROPE_TYPE_NEOX:", 4),
		onGPU("rope.cu", "rope_neox", "i0/2 is the number of the pair, channel_x the token, theta_scale = base^(-2/n_dims); ix and idst point at element i0/2 of the head",
			piece{"const float theta_base = pos[channel_x]*powf(theta_scale, i0/2.0f);", 1}, piece{"const float x0 = x[ix + 0];", 5}),
	}
	// The caches are written by row number; on the CPU side what numbers there
	// are says where.
	storeK = computation{
		onCPU(kvCache, "llama_kv_cache::set_input_k_idxs(", "set_input_k_idxs", "data[s*sinfo.size() + i] =", 1),
		written("src1 holds the row of the cache that each token goes to; dst_t is the cache's type"),
	}
	storeV = computation{
		onCPU(kvCache, "llama_kv_cache::set_input_v_idxs(", "set_input_v_idxs", "offs + j*kv_size + sinfo.idxs[s][i]", 1),
		written("without flash attention V lies transposed: every element is a row of its own, and src1 holds element * capacity + position"),
	}
	scores = computation{
		grouped,
		sharing("x is K, a row per position, and y is Q; a channel is a head, channel_ratio the number of query heads to a KV head; with an f16 cache T is half and type_acc float, as here. It is the kernel for one token and at most 512 positions; "+otherProducts,
			piece{"if (std::is_same_v<type_acc, float>) {", 3}, piece{"const float2 tmpy = y2[", 3}),
	}
	weightedSum = computation{
		grouped,
		sharing("x is V transposed, a row per dim, and y the probabilities; a channel is a head, channel_ratio the number of query heads to a KV head. With an f16 cache the sum is kept in half2 as here, with an f32 one in f32. It is the kernel for one token; "+otherProducts,
			piece{"const half2 tmpx = x2[col2];", 1}, piece{"const float2 tmpy = y2[", 2}, piece{"sumf[j] = __low2float(sumh2[j])", 1}),
	}
	softMax = computation{
		onCPU(ops, "static void ggml_compute_forward_soft_max_f32(", "ggml_compute_forward_soft_max_f32", "ggml_vec_scale_f32(ne00, wp, scale)", 1),
		onGPU("softmax.cu", "soft_max_f32", "p.scale is 1/sqrt(head_dim), slope is 1, the mask holds 0 and -inf; maximum and sum are then those of the whole row",
			piece{"const float val = x[col]*p.scale + (mask ?", 4}, piece{"const float val = expf(vals[col] - max_val);", 2}, piece{"dst[col] = vals[col] * inv_sum;", 1}),
	}
	gatedUnit = computation{
		onCPU(vec, "void ggml_vec_swiglu_f32(", "ggml_vec_swiglu_f32", "y[i] = ggml_silu_f32(x[i]) * g[i]", 1),
		onGPU("unary.cu", "unary_gated_op_kernel", "op is op_silu, x / (1 + exp(-x)); x is ffn_gate and g is ffn_up, whatever its name",
			piece{"dst[i] = (T)(op((float)x[j0]) * (float)g[j1]);", 1}),
	}
)

// fused takes the place of scores, softmax and weighted sum.
var fused = onGPU("fattn-vec.cuh", "flash_attn_ext_vec",
	"scores, softmax and weighted sum in one, for one token; Q was scaled by 1/sqrt(head_dim) before, and KQ_max_scale corrects what was summed under a smaller maximum. "+
		"A prefill takes flash_attn_ext_f16 (fattn-mma-f16.cuh), which does the same on tensor cores",
	piece{"const int gqa_ratio = ne02 / ne12;", 4}, piece{"sum += slope*__half2float(maskh[", 1},
	piece{"KQ_reg[j] = expf(KQ_reg[j] - KQ_max[j]);", 2}, piece{"dst_val /= KQ_sum[j_VKQ];", 1})

var addition = onCPU(binary, "static inline float op_add(float a, float b)", "op_add", "return a + b", 1)

// added is the kernel of sums: src1s is repeated where it is smaller than src0.
func added(note string) trail {
	return onGPU("binbcast.cu", "k_bin_bcast", note,
		piece{"const uint32_t i10 = fastmodulo(i0, ne10);", 1}, piece{"(float)src1s[i_src1 + i10]", 1})
}

// written is the kernel that stores rows by number.
func written(note string) trail {
	return onGPU("set-rows.cu", "k_set_rows", note, piece{"const int64_t dst_row = *(src1 + i10*s10", 6})
}

// grouped is product where query heads share a key/value head.
var grouped = onCPU(matmul, "static void ggml_compute_forward_mul_mat_one_chunk(", "ggml_compute_forward_mul_mat_one_chunk",
	"broadcast src0 into src1", 3)

// sharing is the same on a GPU, for one token, with the lines that sum.
func sharing(note string, sum ...piece) trail {
	return onGPU("mmvf.cu", "mul_mat_vec_f", note,
		piece{"fastdiv((uint32_t) channel_dst, channel_ratio)", 1}, append([]piece{{"x += int64_t(sample_x)", 2}}, sum...)...)
}

// otherProducts are those that sharing is not for.
const otherProducts = "else mul_mat_f (mmf.cu) or cuBLAS (k_compute_batched_ptrs in ggml-cuda.cu) find the KV head by the same division"
