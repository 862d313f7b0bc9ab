import DormouseSupport
import DormouseWeights

/// The hub's spelling of a model's tensors.
struct TensorNames {
  /// Stands before every name but the head's.
  let prefix: String
  let head: String
  /// What stands before a layer's number.
  private let layers: String

  /// The beginnings that text models have: a checkpoint of the whole model, or of the bare decoder stack; a part of one
  /// that takes images or audio as published, and as transformers 5 writes it.
  private static let spellings: [(prefix: String, head: String)] = [
    ("model.", "lm_head.weight"), ("language_model.model.", "language_model.lm_head.weight"),
    ("model.language_model.", "lm_head.weight"), ("", "lm_head.weight"),
  ]

  /// The first spelling that the checkpoint's embedding has, or the most usual one.
  init(_ checkpoint: Checkpoint?) {
    func has(_ name: String) -> Bool { checkpoint?.has(name) ?? false }
    let found = TensorNames.spellings.first { has("\($0.prefix)embed_tokens.weight") }
    (prefix, head) = found ?? TensorNames.spellings[0]
    // What `save_pretrained` of transformers 5.23 makes of kimi_k25: it turns back the renaming of the tower's blocks,
    // and catches the text model's layers too.
    let isRenamed = has("\(prefix)blocks.0.input_layernorm.weight")
    layers = isRenamed && !has("\(prefix)layers.0.input_layernorm.weight") ? "blocks" : "layers"
  }

  var embedding: String { "\(prefix)embed_tokens.weight" }
  var finalNorm: String { "\(prefix)norm.weight" }

  func layer(_ index: Int) -> String { "\(prefix)\(layers).\(index)." }

  /// What a tensor that neither the model nor a tower uses is.
  enum Leftover {
    /// A table that can be computed (`rotary_emb.inv_freq`), or a copy of the tied embedding.
    case redundant
    /// Part of the layers for multi-token prediction, behind the others.
    case nextTokenLayer
    case unexpected
  }

  func leftover(_ name: String, _ configuration: ModelConfiguration) -> Leftover {
    if name.utf8.elementsEqual(head.utf8) || TensorNames.ends(name, "rotary_emb.inv_freq") { return .redundant }
    let family = configuration.architecture.family
    let start = Array("\(prefix)\(layers).".utf8)
    guard name.utf8.starts(with: start) else {
      if let own = family.nextTokenPrefix, name.utf8.starts(with: "\(prefix)\(own)".utf8) { return .nextTokenLayer }
      return .unexpected
    }
    let digits = name.utf8.dropFirst(start.count).prefix { $0 != UInt8(ascii: ".") }
    guard let index = Int(String(decoding: digits, as: UTF8.self)) else { return .unexpected }
    let first = configuration.hiddenLayerCount
    let range = first..<first + max(configuration.nextTokenLayerCount, family.unlistedNextTokenLayerCount)
    return range.contains(index) ? .nextTokenLayer : .unexpected
  }

  private static func ends(_ name: String, _ suffix: String) -> Bool {
    name.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
