import DormouseSupport
import DormouseWeights

/// The hub's spelling of a model's tensors.
///
/// `prefix` stands before every name but the head's: "model." in a checkpoint of the whole model, empty in one of the
/// bare decoder stack.
struct TensorNames {
  let prefix: String

  init(_ checkpoint: Checkpoint) {
    let isBare = checkpoint.description(of: "embed_tokens.weight") != nil
    prefix = isBare && checkpoint.description(of: "model.embed_tokens.weight") == nil ? "" : "model."
  }

  var embedding: String { "\(prefix)embed_tokens.weight" }
  var finalNorm: String { "\(prefix)norm.weight" }
  let head = "lm_head.weight"

  func layer(_ index: Int) -> String { "\(prefix)layers.\(index)." }
  func attention(_ layer: Int, _ part: String) -> String { "\(self.layer(layer))self_attn.\(part)" }
  func feedForward(_ layer: Int, _ part: String) -> String { "\(self.layer(layer))mlp.\(part)" }

  /// What a tensor that the model does not use is.
  enum Leftover {
    /// A table that can be computed (`rotary_emb.inv_freq`), or a copy of the tied embedding.
    case redundant
    /// Part of the layers for multi-token prediction, behind the others.
    case nextTokenLayer
    case unexpected
  }

  func leftover(_ name: String, _ configuration: ModelConfiguration) -> Leftover {
    if name.utf8.elementsEqual(head.utf8) || TensorNames.ends(name, "rotary_emb.inv_freq") { return .redundant }
    let start = Array("\(prefix)layers.".utf8)
    guard name.utf8.starts(with: start) else { return .unexpected }
    let digits = name.utf8.dropFirst(start.count).prefix { $0 != UInt8(ascii: ".") }
    guard let index = Int(String(decoding: digits, as: UTF8.self)) else { return .unexpected }
    let range = configuration.hiddenLayerCount..<configuration.hiddenLayerCount + configuration.nextTokenLayerCount
    return range.contains(index) ? .nextTokenLayer : .unexpected
  }

  private static func ends(_ name: String, _ suffix: String) -> Bool {
    name.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
