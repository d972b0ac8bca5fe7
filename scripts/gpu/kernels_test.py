"""Tests of kernels.py: python3 scripts/gpu/kernels_test.py."""

import re
import unittest

import kernels


def node(name, op, layer, *src):
    return {"name": name, "op": op, "layer": layer, "src": list(src)}


def kernel(name):
    return {"kernel": name, "grid": [1, 1, 1], "block": [32, 1, 1], "shared": 0, "us": 1.0}


# A graph of two layers in small: a norm, a product, its bias, attention's end.
GRAPH = {"layers": [0, 1], "tensors": [
    {"name": "blk.0.attn_output.weight", "layer": 0}, {"name": "inp_embd", "op": "GET_ROWS", "layer": -1}] + [
    n for layer in (0, 1) for n in (
        node(f"norm-{layer}", "RMS_NORM", layer), node(f"attn_norm-{layer}", "MUL", layer),
        node(f"Qcur-{layer}", "MUL_MAT", layer), node(f"Qcur-{layer}", "ADD", layer), node(f"Qcur-{layer}", "RESHAPE", layer),
        node(f"kqv-{layer}", "MUL_MAT", layer), node(f"kqv_out-{layer}", "CONT", layer), node("node_9", "MUL_MAT", layer, 0),
        node(f"ffn_inp-{layer}", "ADD", layer))] + [
    node("norm", "RMS_NORM", -1), node("result_norm", "MUL", -1), node("result_output", "MUL_MAT", -1)]}

TAPS = ["attn_norm", "attn_norm", "q_proj", "q_bias", "kqv", "kqv", "attn_out", "ffn_inp"]


class Assign(unittest.TestCase):
    def test_ops(self):
        ops = kernels.graph_ops(GRAPH, 3)
        self.assertEqual([tap for tap, _, _ in ops], TAPS * 3 + ["result_norm", "result_norm", "result_output"])

    def assign(self, layer, end):
        run = [kernel(name) for name in layer * 3 + end]
        pairs, used = kernels.assign(kernels.graph_ops(GRAPH, 3), run + run, kernels.ELEMENTWISE)
        self.assertEqual(used, len(run))
        return [(tap, k["kernel"]) for tap, k in pairs][:len(layer)]

    def test_one_kernel_each(self):
        names = ["rms_norm_f32<1>", "k_bin_bcast<mul>", "gemm", "k_bin_bcast<add>", "gemm", "cpy_scalar", "gemm", "k_bin_bcast<add>"]
        self.assertEqual(self.assign(names, ["rms_norm_f32<1>", "k_bin_bcast<mul>", "gemm"]), list(zip(TAPS, names)))

    def test_fused_and_copied(self):
        names = ["rms_norm_f32<1, true>", "mul_mat_vec_f", "k_bin_bcast<add>", "mul_mat_vec_f", "mul_mat_vec_f", "k_bin_bcast<add>"]
        self.assertEqual(self.assign(names, ["rms_norm_f32<1, true>", "mul_mat_vec_f"]),
                         list(zip(["attn_norm", "q_proj", "q_bias", "kqv", "attn_out", "ffn_inp"], names)))

    def test_several_kernels(self):
        product = ["convert_unary", "gemm", "convert_unary"]
        names = ["rms_norm_f32<1>", *product, "k_bin_bcast<add>", *product, "cpy_scalar", *product, "k_bin_bcast<add>"]
        taps = ["attn_norm", *["q_proj"] * 3, "q_bias", *["kqv"] * 3, "kqv", *["attn_out"] * 3, "ffn_inp"]
        self.assertEqual(self.assign(names, ["rms_norm_f32<1>", *product]), list(zip(taps, names)))

    def test_flash(self):
        """Fused attention has several kernels; its mask is cast once, in the first layer."""
        graph = {"layers": [0, 1], "tensors": [
            {"name": "blk.0.attn_output.weight", "layer": 0}, node("Qcur-0", "ROPE", 0), node(" (copy)", "CPY", -1),
            node("__fattn__-0", "FLASH_ATTN_EXT", 0), node("node_9", "MUL_MAT", 0, 0),
            node("Qcur-1", "ROPE", 1), node("__fattn__-1", "FLASH_ATTN_EXT", 1), node("node_19", "MUL_MAT", 1, 0)]}
        names = ["rope_neox", "cpy_scalar", "flash_attn_ext_vec", "flash_attn_combine_results", "gemm"]
        names += (names[:1] + names[2:]) * 2
        pairs, used = kernels.assign(kernels.graph_ops(graph, 3), [kernel(n) for n in names], kernels.ELEMENTWISE)
        self.assertEqual(used, len(names))
        self.assertEqual([tap for tap, _ in pairs][:6], ["q_rope", "kqv", "kqv", "kqv", "attn_out", "q_rope"])

    def test_name(self):
        for text, want in (("rms_norm", "rms_norm"), ("cpy_scalar<&(void f<a, b>), 1>", "cpy_scalar<&(void f<a, b>), 1>"),
                           ("std::enable_if<!(false), void>::type internal::gemvx::kernel<int, 4>", "internal::gemvx::kernel<int, 4>")):
            self.assertEqual(kernels.name_alone(text), want)

    def test_final_lookup(self):
        """The final layer looks up rows of the one before it."""
        graph = {"layers": [0, 1], "tensors": [
            node("inp_embd", "GET_ROWS", -1), node("ffn_inp-0", "ADD", 0), node("Qcur-1", "ROPE", 1), node("node_7", "GET_ROWS", 1),
            node("node_8", "GET_ROWS", 1), node("ffn_inp-1", "ADD", 1)]}
        graph["tensors"][4]["layer"] = 1
        names = ["k_bin_bcast", "k_bin_bcast", "rope_neox", "k_get_rows_float", "k_get_rows_float", "k_bin_bcast"]
        pairs, used = kernels.assign(kernels.graph_ops(graph, 3), [kernel(n) for n in names], kernels.ELEMENTWISE)
        self.assertEqual((used, [tap for tap, _ in pairs][2:]), (6, ["q_rope", "ffn_inp", "ffn_inp", "ffn_inp"]))

    def test_mismatch(self):
        with self.assertRaisesRegex(kernels.Mismatch, "wants .*rms_norm.* kernel 0 is soft_max_f32"):
            kernels.assign(kernels.graph_ops(GRAPH, 3), [kernel("soft_max_f32")], kernels.ELEMENTWISE)
        with self.assertRaisesRegex(kernels.Mismatch, "0 kernels for the products of .'q_proj'"):
            kernels.assign(kernels.graph_ops(GRAPH, 3), [kernel("rms_norm_f32"), kernel("k_bin_bcast"), kernel("k_bin_bcast")],
                           kernels.ELEMENTWISE)

    def test_ours(self):
        note = {"layers": [0, 1], "list": [{"tap": "inp_embd", "layer": -1, "launch": {"kernel": "embed"}}] + [
            op for layer in (0, 1) for op in ({"tap": "attn_norm", "layer": layer, "launch": {"kernel": "rms_norm"}},
                                              {"tap": "q_proj", "layer": layer, "gemm": {}}, {"tap": "k_cache", "layer": layer})]}
        ops = kernels.launch_ops(note, 2)
        run = [kernel(name) for name in ("embed", "rms_norm", "sgemm", "splitK", "rms_norm", "sgemm", "splitK")]
        pairs, used = kernels.assign(ops, run, re.compile("^embed$|^rms_norm$"))
        self.assertEqual(used, len(run))
        self.assertEqual([tap for tap, _ in pairs], ["inp_embd", "attn_norm", "q_proj", "q_proj", "attn_norm", "q_proj", "q_proj"])


if __name__ == "__main__":
    unittest.main()
