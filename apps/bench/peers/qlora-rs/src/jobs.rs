// What the driver can run: the codec, and a 4-bit layer with its adapter, forward and backward.
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use qlora_rs::quantization::{dequantize_nf4, quantize_nf4_with_config, QuantizedTensor};
use qlora_rs::{ComputeDType, QLoraConfig, QuantizationConfig, QuantizationStrategy, QuantizedLinear};
use serde_json::{json, Value};

type Failure = Box<dyn std::error::Error>;

/// Something that was set up and can be run again and again.
pub trait Job {
    /// One run: what is timed.
    fn run(&mut self) -> Result<(), Failure>;
    /// Root mean square and first values of what the last run gave, so that contenders can be compared.
    fn check(&self) -> Result<Value, Failure>;
}

/// Sets a job up.
pub fn prepare(job: &Value) -> Result<Box<dyn Job>, Failure> {
    match job["kind"].as_str() {
        Some("quantize") => Ok(Box::new(Quantize { weight: weight(job)?, last: None })),
        Some("dequantize") => {
            let quantized = quantize_nf4_with_config(&weight(job)?, &quantization(false))?;
            Ok(Box::new(Dequantize { quantized, last: None }))
        }
        Some("layer") => Ok(Box::new(Layer::new(job)?)),
        other => Err(format!("qlora-rs has no job {other:?}").into()),
    }
}

fn quantization(double_quant: bool) -> QuantizationConfig {
    QuantizationConfig {
        block_size: 64,
        double_quant,
        compute_dtype: ComputeDType::F32,
        strategy: QuantizationStrategy::PerTensor,
        use_zero_point: false,
    }
}

fn number(job: &Value, field: &str) -> Result<usize, Failure> {
    job[field].as_u64().map(|n| n as usize).ok_or_else(|| format!("the job has no number {field}").into())
}

/// A matrix of a file of little-endian f32.
fn matrix(job: &Value, field: &str, rows: usize, columns: usize) -> Result<Tensor, Failure> {
    let path = job[field].as_str().ok_or_else(|| format!("the job names no file {field}"))?;
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let values: Vec<f32> = bytes
        .chunks_exact(4)
        .take(rows * columns)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

fn weight(job: &Value) -> Result<Tensor, Failure> {
    matrix(job, "weight", number(job, "outFeatures")?, number(job, "inFeatures")?)
}

fn check_of(values: &[f32]) -> Value {
    let squares: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    json!({ "rms": (squares / values.len() as f64).sqrt(), "head": values[..values.len().min(16)] })
}

fn check_tensor(tensor: &Option<Tensor>) -> Result<Value, Failure> {
    let values: Vec<f32> = tensor.as_ref().ok_or("nothing was run")?.flatten_all()?.to_vec1()?;
    Ok(check_of(&values))
}

struct Quantize {
    weight: Tensor,
    last: Option<QuantizedTensor>,
}

impl Job for Quantize {
    fn run(&mut self) -> Result<(), Failure> {
        self.last = Some(quantize_nf4_with_config(&self.weight, &quantization(false))?);
        Ok(())
    }

    /// The scales: the order of nibbles is the crate's own.
    fn check(&self) -> Result<Value, Failure> {
        Ok(check_of(&self.last.as_ref().ok_or("nothing was run")?.scales))
    }
}

struct Dequantize {
    quantized: QuantizedTensor,
    last: Option<Tensor>,
}

impl Job for Dequantize {
    fn run(&mut self) -> Result<(), Failure> {
        self.last = Some(dequantize_nf4(&self.quantized, &Device::Cpu)?);
        Ok(())
    }

    fn check(&self) -> Result<Value, Failure> {
        check_tensor(&self.last)
    }
}

/// y = layer(x), then the gradients of Σ y·dy: those of x, A and B.
struct Layer {
    layer: QuantizedLinear,
    x: Var,
    dy: Tensor,
    /// Holds A and B.
    _variables: VarMap,
    last: Option<Tensor>,
}

impl Layer {
    fn new(job: &Value) -> Result<Self, Failure> {
        let (rows, rank) = (number(job, "rows")?, number(job, "rank")?);
        let (output, input) = (number(job, "outFeatures")?, number(job, "inFeatures")?);
        let mut config = QLoraConfig { quantization: quantization(true), ..QLoraConfig::default() };
        config.lora.r = rank;
        config.lora.alpha = 2 * rank;
        config.lora.dropout = 0.0;
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let layer = QuantizedLinear::from_weight_with_varbuilder(&weight(job)?, None, &config, builder)?;
        // The crate draws B too; PEFT and the others start it at zero.
        for (name, variable) in variables.data().lock().map_err(|error| error.to_string())?.iter() {
            if name.contains("lora_b") {
                variable.set(&variable.zeros_like()?)?;
            }
        }
        Ok(Self {
            layer,
            x: Var::from_tensor(&matrix(job, "x", rows, input)?)?,
            dy: matrix(job, "dy", rows, output)?,
            _variables: variables,
            last: None,
        })
    }
}

impl Job for Layer {
    fn run(&mut self) -> Result<(), Failure> {
        let y = self.layer.forward(&self.x)?;
        let gradients = (&y * &self.dy)?.sum_all()?.backward()?;
        gradients.get(&self.x).ok_or("the input has no gradient")?;
        self.last = Some(y);
        Ok(())
    }

    fn check(&self) -> Result<Value, Failure> {
        check_tensor(&self.last)
    }
}
