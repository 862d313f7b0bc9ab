import DormouseCache
import DormouseMedia
import DormouseModel
import DormouseSupport

/// The document of `dormouse_engine_info`; docs/configuration.md lists its members.
extension Engine {
  /// What the model is, as a JSON object. Without weights the first call reads the headers of all weight files.
  /// - Throws: a `Failure` that then names the file, field or tensor at fault.
  public func info() throws(Failure) -> JSON {
    let modelFolder = try modelFolder()
    let configuration = modelFolder.configuration
    let parameters = try configuration.parameterCount()
    let towers = try towers()
    var document: JSONObject = JSONObject([
      "path": .string(folder),
      "model_type": .string(configuration.composite?.rawValue ?? configuration.architecture.rawValue),
      "parameters": [
        "total": .size(parameters.total), "active": .size(parameters.active),
        "active_in_layers": .size(parameters.active - parameters.tables),
      ],
      "towers": .array(towers?.parameterCounts.map { tower($0.modalities, parameterCount: $0.count) } ?? []),
      "modalities": .array([.string("text")] + strings(towers?.modalities ?? [])),
      "layers": .size(configuration.hiddenLayerCount),
      "hidden_size": .size(configuration.hiddenSize),
      "vocabulary_size": .size(configuration.vocabularySize),
      "context_length": .size(configuration.maximumPositions),
    ])
    document["attention"] = attention(configuration)
    document["experts"] = experts(configuration)
    document["cache"] = try cache(configuration)
    document["weights"] = weights(modelFolder)
    document["text"] = textDocument()
    document["instruction_set"] = .string(kernels.instructionSet.rawValue)
    document["threads"] = .size(pool.threadCount)
    return .object(document)
  }

  /// `chat_template` is whether a chat that names no template can be rendered; where the folder has templates and it
  /// cannot, `chat_template_failure` says why.
  private func textDocument() -> JSON {
    let format = text.promptFormat
    var document: JSONObject = JSONObject([
      "tokenizer": .bool(text.tokenizer != nil),
      "chat_template": .bool(format != nil && format?.failure == nil),
      "chat_templates": .array((format?.names ?? []).map { .string($0) }),
      "end_tokens": .array(text.generation.endTokens.sorted().map { .integer(Int64($0)) }),
    ])
    if let failure = format?.failure { document["chat_template_failure"] = .string(failure.message) }
    return .object(document)
  }

  private func tower(_ modalities: [Modality], parameterCount: Int) -> JSON {
    ["modalities": .array(strings(modalities)), "parameters": ["total": .size(parameterCount)]]
  }

  private func strings(_ modalities: [Modality]) -> [JSON] { modalities.map { .string($0.rawValue) } }

  /// The first layer's attention; and where layers differ or attend to a part of the timeline, every kind of them.
  private func attention(_ configuration: ModelConfiguration) -> JSON {
    var document = attention(configuration.attention)
    let kinds = configuration.attentions
    if kinds.count == 1, case .latent(let latent) = kinds[0], latent.slidingWindow == nil { return .object(document) }
    document["kinds"] = .array(
      kinds.enumerated().map { index, kind in
        var document = attention(kind.latent)
        document["layers"] = .size(configuration.attentionKinds.count { $0 == index })
        if let window = kind.latent.slidingWindow { document["sliding_window"] = .size(window) }
        if case .indexed(_, let indexer) = kind {
          document["index_n_heads"] = .size(indexer.headCount)
          document["index_head_dim"] = .size(indexer.headDimension)
          document["index_topk"] = .size(indexer.selectedCount)
        }
        return .object(document)
      })
    return .object(document)
  }

  private func attention(_ attention: LatentAttentionConfiguration) -> JSONObject {
    JSONObject([
      "heads": .size(attention.headCount),
      "q_lora_rank": attention.qLoraRank.map { .size($0) } ?? .null,
      "kv_lora_rank": .size(attention.kvLoraRank),
      "qk_nope_head_dim": .size(attention.qkNopeHeadDimension),
      "qk_rope_head_dim": .size(attention.qkRopeHeadDimension),
      "v_head_dim": .size(attention.vHeadDimension),
    ])
  }

  private func experts(_ configuration: ModelConfiguration) -> JSON {
    [
      "routed": .size(configuration.router.expertCount),
      "per_token": .size(configuration.router.expertsPerToken),
      "shared": .size(configuration.sharedExpertCount),
      "layers": .size(configuration.feedForward.count { $0 == .experts }),
      "topk_method": .string(configuration.router.method.rawValue),
    ]
  }

  /// Bytes in 16 bits, the width in which caches are usually compared, and in the other types of rows.
  private func cache(_ configuration: ModelConfiguration) throws(Failure) -> JSON {
    [
      "values_per_token": .size(configuration.cacheValuesPerToken),
      "page_tokens": .size(PageLayout.positionsPerPage),
      "default_type": .string(options.defaultCacheType.rawValue),
      "bytes_per_token": [
        "bf16": .size(try configuration.pageLayout(.bfloat16).positionByteCount),
        "f32": .size(try configuration.pageLayout(.float32).positionByteCount),
        "int8": .size(try configuration.pageLayout(.int8).positionByteCount),
      ],
      "plain_attention_bytes_per_token": [
        "bf16": .size(configuration.plainCacheByteCountPerToken(elementByteCount: 2)),
        "f32": .size(configuration.plainCacheByteCountPerToken(elementByteCount: 4)),
      ],
    ]
  }

  private func weights(_ modelFolder: ModelFolder) -> JSON {
    var types = JSONObject()
    for entry in modelFolder.byteCountByType { types[entry.type.rawValue] = .size(entry.byteCount) }
    return [
      "precision": .string(modelFolder.precision.rawValue),
      "bytes": .size(modelFolder.weightByteCount),
      "bytes_per_token": .size(modelFolder.byteCountPerToken),
      "types": .object(types),
      "tensors": .size(modelFolder.tensorNames.count),
    ]
  }
}

extension JSON {
  static func size(_ value: Int) -> JSON { .integer(Int64(value)) }
}
