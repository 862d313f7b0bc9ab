import DormouseSupport

extension ModelFolder {
  /// Bytes of weights that decoding one token reads: everything once, but one row of the embedding, and of a layer's
  /// routed experts those that the router picks.
  public var byteCountPerToken: Int {
    let names = TensorNames(checkpoint)
    var total = 0
    for name in tensorNames {
      guard let tensor = checkpoint.description(of: name) else { continue }
      if TensorNames.isOfRoutedExpert(name) {
        total += tensor.byteCount / configuration.router.expertCount * configuration.router.expertsPerToken
      } else if name == names.embedding, !configuration.tiesWordEmbeddings {
        total += tensor.byteCount / configuration.vocabularySize
      } else {
        total += tensor.byteCount
      }
    }
    return total
  }
}
