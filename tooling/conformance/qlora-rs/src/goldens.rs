// The golden files: what goes into them, what the crate makes of it, and both as JSON. Shared by the programs for the
// crate's two versions of QNAT (the other one is in ../qlora-rs-1.3), which differ in the crate alone.
use candle_core::{Device, Tensor};
use qlora_rs::native::{export_native, NativeMetadata};
use qlora_rs::quantization::{dequantize_nf4, quantize_nf4_with_config, QuantizedTensor};
use qlora_rs::{ComputeDType, QuantizationConfig, QuantizationStrategy};
use std::path::Path;
use QuantizationStrategy::{PerChannel, PerTensor};

/// A tensor to be: name, shape, strategy, block size, double quantization, zero points, and what is added to its values.
struct Case {
    name: &'static str,
    shape: &'static [usize],
    strategy: QuantizationStrategy,
    block_size: usize,
    double_quant: bool,
    zero_point: bool,
    skew: f32,
}

const fn case(name: &'static str, shape: &'static [usize], strategy: QuantizationStrategy, block_size: usize) -> Case {
    Case { name, shape, strategy, block_size, double_quant: false, zero_point: false, skew: 0.0 }
}

/// Values from a formula, so that nothing is random; later ones are larger, so that scales differ.
fn values(case: &Case) -> Vec<f32> {
    let count = case.shape.iter().product();
    (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0 * (1.0 + (i / 16) as f32 / 4.0) + case.skew).collect()
}

fn quantize(case: &Case) -> QuantizedTensor {
    let tensor = Tensor::from_vec(values(case), case.shape, &Device::Cpu).unwrap();
    let config = QuantizationConfig {
        block_size: case.block_size,
        double_quant: case.double_quant,
        compute_dtype: ComputeDType::F32,
        strategy: case.strategy,
        use_zero_point: case.zero_point,
    };
    quantize_nf4_with_config(&tensor, &config).unwrap()
}

/// Writes `<prefix>-<name>.qnat` and returns the file's part of the JSON.
fn write(folder: &Path, prefix: &str, name: &str, metadata: Option<NativeMetadata>, cases: &[Case]) -> String {
    let quantized: Vec<QuantizedTensor> = cases.iter().map(quantize).collect();
    let tensors: Vec<(&str, &QuantizedTensor)> = cases.iter().map(|case| case.name).zip(&quantized).collect();
    let path = folder.join(format!("{prefix}-{name}.qnat"));
    export_native(&tensors, metadata.clone(), &path).unwrap();
    let parts: Vec<String> = cases
        .iter()
        .zip(&quantized)
        .map(|(case, tensor)| {
            let flat = dequantize_nf4(tensor, &Device::Cpu).unwrap().flatten_all().unwrap();
            let decoded: Vec<f32> = flat.to_vec1().unwrap();
            format!(
                "{{ \"name\": {:?}, \"shape\": {:?}, \"strategy\": \"{:?}\", \"blockSize\": {}, \"doubleQuant\": {}, \"zeroPoint\": {},\n  \"values\": {:?},\n  \"decoded\": {:?} }}",
                case.name, case.shape, case.strategy, tensor.block_size, case.double_quant, case.zero_point, values(case), decoded
            )
        })
        .collect();
    let metadata = metadata.unwrap_or_default();
    let dtype = format!("{:?}", metadata.compute_dtype).to_lowercase();
    format!(
        "{{ \"file\": \"{prefix}-{name}.qnat\", \"metadata\": {{ \"model_name\": {:?}, \"model_type\": {:?}, \"compute_dtype\": \"{dtype}\" }}, \"tensors\": [\n{}] }}",
        metadata.model_name,
        metadata.model_type,
        parts.join(",\n")
    )
}

/// Writes all files and `<prefix>.json`.
pub fn write_goldens(folder: &Path, prefix: &str, version: &str) {
    let named = |name: &str, compute_dtype| Some(NativeMetadata { model_name: name.into(), model_type: "llama".into(), compute_dtype });
    let both = |double_quant: bool, zero_point: bool, skew: f32| {
        [
            Case { double_quant, zero_point, skew, ..case("w", &[4, 16], PerTensor, 32) },
            Case { double_quant, zero_point, skew, ..case("model.layers.0.self_attn.q_proj.weight", &[2, 4, 8], PerTensor, 16) },
            Case { double_quant, zero_point, skew, ..case("bias", &[64], PerTensor, 64) },
        ]
    };
    let files = [
        write(folder, prefix, "plain", None, &both(false, false, 0.0)),
        write(folder, prefix, "double", named("golden double", ComputeDType::F16), &both(true, false, 0.0)),
        write(folder, prefix, "zero-point", named("golden zero point", ComputeDType::BF16), &both(false, true, 0.5)),
        write(folder, prefix, "double-zero-point", named("x", ComputeDType::F32), &both(true, true, 0.5)),
        write(
            folder,
            prefix,
            "per-channel",
            named("Größe", ComputeDType::F32),
            &[
                case("a", &[4, 6], PerChannel, 64),
                Case { double_quant: true, ..case("double", &[3, 2, 5], PerChannel, 64) },
                Case { zero_point: true, skew: 0.5, ..case("zero-point", &[5, 4], PerChannel, 64) },
            ],
        ),
        write(
            folder,
            prefix,
            "odd",
            named("blocks of odd length", ComputeDType::F32),
            &[case("channels", &[3, 5], PerChannel, 64), case("blocks", &[3, 7], PerTensor, 7)],
        ),
        write(
            folder,
            prefix,
            "mixed",
            named("every kind in one file", ComputeDType::F32),
            &[
                Case { double_quant: true, ..case("first", &[2, 32], PerTensor, 32) },
                case("second", &[2, 32], PerChannel, 64),
                Case { zero_point: true, skew: -0.25, ..case("third", &[32], PerTensor, 8) },
            ],
        ),
        write(folder, prefix, "empty", named("", ComputeDType::F32), &[]),
    ];
    let json = format!("{{ \"crate\": \"qlora-rs {version}\", \"files\": [\n{}\n] }}\n", files.join(",\n"));
    std::fs::write(folder.join(format!("{prefix}.json")), json).unwrap();
}
