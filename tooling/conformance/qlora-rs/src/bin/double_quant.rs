// Goldens of the crate's double quantization for @qlora/double-quant. Its functions are private, so scales go in as the
// first values of blocks whose other value is 0 (a block's scale is its largest magnitude), and come out again as those
// values decoded: they have the code of 1.
//
//     cargo run --release --bin double_quant -- ../../../packages/double-quant/src/goldens/qlora-rs.json
use candle_core::{Device, Tensor};
use qlora_rs::quantization::{dequantize_nf4, quantize_nf4_with_config};
use qlora_rs::{ComputeDType, QuantizationConfig, QuantizationStrategy};

fn case(name: &str, scales: Vec<f32>) -> String {
    let values: Vec<f32> = scales.iter().flat_map(|&scale| [scale, 0.0]).collect();
    let tensor = Tensor::from_vec(values, scales.len() * 2, &Device::Cpu).unwrap();
    let config = QuantizationConfig {
        block_size: 2,
        double_quant: true,
        compute_dtype: ComputeDType::F32,
        strategy: QuantizationStrategy::PerTensor,
        use_zero_point: false,
    };
    let quantized = quantize_nf4_with_config(&tensor, &config).unwrap();
    let decoded: Vec<f32> = dequantize_nf4(&quantized, &Device::Cpu).unwrap().to_vec1().unwrap();
    let restored: Vec<f32> = decoded.iter().step_by(2).copied().collect();
    format!(
        "{{ \"name\": {name:?}, \"scales\": {:?}, \"codes\": {:?}, \"factors\": {:?}, \"restored\": {restored:?} }}",
        quantized.scales,
        quantized.scales_quantized.unwrap(),
        quantized.scales_scales.unwrap(),
    )
}

fn main() {
    let path = std::env::args().nth(1).expect("name a file to write");
    let wave = |count: usize| (0..count).map(|i| 0.02 + 0.015 * ((i * i) as f32 / 7.0).sin()).collect();
    let cases = [
        case("one scale", vec![0.7]),
        case("equal scales", vec![0.25; 9]),
        case("as weights have them", wave(600)),
        case("an outlier", wave(40).into_iter().chain([3.0]).collect()),
        case("steps of the largest", (1..=254).map(|i| i as f32 / 254.0).collect()),
        case("from large to small", (0..76).map(|i| 10f32.powi(38 - i)).collect()),
        case("denormals", (1..200).map(|i| f32::from_bits(i)).collect()),
    ];
    let json = format!("{{ \"crate\": \"qlora-rs 1.0.5\", \"cases\": [\n{}\n] }}\n", cases.join(",\n"));
    std::fs::write(path, json).unwrap();
}
