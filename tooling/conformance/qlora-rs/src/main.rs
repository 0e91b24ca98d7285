// Writes small QNAT version 1 files with the real crate, and what the crate itself decodes from them.
//
//     cargo run --release -- ../../../packages/qnat-writer/src/goldens
use candle_core::{Device, Tensor};
use qlora_rs::native::{export_native, NativeMetadata};
use qlora_rs::quantization::{dequantize_nf4, quantize_nf4_with_config, QuantizedTensor};
use qlora_rs::{ComputeDType, QuantizationConfig, QuantizationStrategy};

/// Values from a formula, so that nothing random is in the files.
fn values(count: usize, skew: f32) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 0.5 + skew).collect()
}

fn quantize(shape: &[usize], skew: f32, config: &QuantizationConfig) -> QuantizedTensor {
    let count = shape.iter().product();
    let tensor = Tensor::from_vec(values(count, skew), shape, &Device::Cpu).unwrap();
    quantize_nf4_with_config(&tensor, config).unwrap()
}

fn main() {
    let folder = std::env::args().nth(1).expect("name a folder to write to");
    for (name, strategy, double_quant, use_zero_point) in [
        ("plain", QuantizationStrategy::PerTensor, false, false),
        ("double", QuantizationStrategy::PerTensor, true, false),
        ("zero-point", QuantizationStrategy::PerTensor, false, true),
        ("double-zero-point", QuantizationStrategy::PerTensor, true, true),
        ("per-channel", QuantizationStrategy::PerChannel, true, false),
    ] {
        let config = QuantizationConfig { block_size: 32, double_quant, compute_dtype: ComputeDType::F16, strategy, use_zero_point };
        let first = quantize(&[4, 16], 0.0, &config);
        let second = quantize(&[2, 4, 8], 0.25, &config);
        let metadata = NativeMetadata { model_name: format!("golden {name}"), model_type: "llama".into(), compute_dtype: ComputeDType::F16 };
        let tensors = [("w", &first), ("model.layers.0.mlp", &second)];
        export_native(&tensors, Some(metadata), format!("{folder}/v1-{name}.qnat")).unwrap();
        let decoded: Vec<String> = tensors
            .iter()
            .map(|(key, tensor)| {
                let flat: Vec<f32> = dequantize_nf4(tensor, &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                format!("\"{key}\": {flat:?}")
            })
            .collect();
        std::fs::write(format!("{folder}/v1-{name}.json"), format!("{{{}}}\n", decoded.join(",\n"))).unwrap();
    }
}
