"""The passes that come with qir, one a file; this table names them."""

from qir.passmanager.registry import register_passes

register_passes(
    {
        name: f"qir.passes.{where}"
        for name, where in {
            "expand-functions": "clean.expand_functions:ExpandFunctions",
            "fold-constants": "clean.fold_constants:FoldConstants",
            "eliminate-dead-code": "clean.dead_code:EliminateDeadCode",
            "eliminate-identities": "clean.identities:EliminateIdentities",
            "merge-duplicates": "clean.duplicates:MergeDuplicates",
            "cancel-transposes": "clean.transposes:CancelTransposes",
            "fold-batchnorm": "fuse.batchnorm:FoldBatchNorm",
            "fold-preprocess": "fuse.preprocess:FoldPreprocess",
            "fuse-pad": "fuse.pad:FusePad",
            "fuse-matmul-add": "fuse.matmul_add:FuseMatMulAdd",
            "fold-affine": "fuse.affine:FoldAffine",
            "gemm-on-rows": "fuse.rows:GemmOnRows",
            "recognize-codes": "fuse.codes:RecognizeCodes",
            "recognize-activations": "fuse.activations:RecognizeActivations",
            "recognize-layernorm": "fuse.layernorm:RecognizeLayerNorm",
            "prune": "compress.prune_channels:PruneChannels",
            "low-rank": "compress.low_rank:LowRank",
            "sparsify": "compress.sparsify:Sparsify",
            "estimate-ranges": "quantize.estimate_ranges:EstimateRanges",
            "collect": "quantize.collect:Collect",
            "absorb-biases": "quantize.absorb_biases:AbsorbBiases",
            "equalize": "quantize.equalize:Equalize",
            "calibrate": "quantize.calibrate:Calibrate",
            "drop-slow-islands": "quantize.islands:DropSlowIslands",
            "quantize": "quantize.assign:Quantize",
            "ternarize": "quantize.ternarize:Ternarize",
            "binarize": "quantize.binarize:Binarize",
            "fit-planes": "quantize.fit_planes:FitPlanes",
            "quantize-weights": "quantize.quantize_weights:QuantizeWeights",
            "protect-weights": "quantize.protect:ProtectWeights",
            "round-weights": "quantize.round_weights:RoundWeights",
            "align-channels": "quantize.align:AlignChannels",
            "orient-weights": "quantize.orient:OrientWeights",
            "correct-biases": "quantize.correct_biases:CorrectBiases",
            "finetune": "train.finetune:Finetune",
            "quantize-biases": "quantize.biases:QuantizeBiases",
            "absorb-activations": "quantize.absorb:AbsorbActivations",
            "bind-batch": "lower.bind_batch:BindBatch",
            "lower-integer": "lower.integer:LowerInteger",
            "compose-lookups": "lower.tables:ComposeLookups",
        }.items()
    }
)
