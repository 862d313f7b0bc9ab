import DormouseLayers
import DormouseModel
import DormouseSupport

/// Input: a configuration document, read both as a model's `config.json` and as a router's.
///
/// What is accepted must be usable: every derived figure can be computed and is in proportion.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  guard let json = try? JSON.parse(UnsafeRawBufferPointer(start: data, count: size)) else { return 0 }
  do throws(Failure) {
    checkModel(try ModelConfiguration(json: json, file: "config.json"))
  } catch { checkSentence(error) }
  do throws(Failure) {
    checkRouter(try RouterConfiguration(try JSONFields(json, file: "router")))
  } catch { checkSentence(error) }
  return 0
}

private func checkModel(_ configuration: ModelConfiguration) {
  precondition(configuration.feedForward.count == configuration.hiddenLayerCount)
  precondition((try? configuration.parameterCount()).map { $0.active > 0 && $0.active <= $0.total } == true)
  precondition((try? configuration.pageLayout(.bfloat16)).map { $0.positionByteCount > 0 } == true)
  precondition(configuration.plainCacheByteCountPerToken(elementByteCount: 2) > 0)
  for attention in configuration.attentions.map(\.latent) {
    precondition(attention.softmaxScale > 0 && attention.softmaxScale.isFinite)
    let half = attention.qkRopeHeadDimension / 2
    precondition(attention.rope.inverseFrequencies(dimension: attention.qkRopeHeadDimension).count == half)
  }
  checkRouter(configuration.router)
}

private func checkRouter(_ router: RouterConfiguration) {
  precondition(router.expertCount % router.groupCount == 0)
  precondition(router.selectedGroupCount <= router.groupCount)
  precondition(router.expertsPerToken <= router.selectedGroupCount * (router.expertCount / router.groupCount))
  precondition(router.scalingFactor > 0 && router.scalingFactor.isFinite)
}

/// The sentence must say something, and must not hold control characters that the document chose.
private func checkSentence(_ failure: Failure) {
  precondition([.malformed, .unsupported].contains(failure.status) && failure.message.utf8.count > 10)
  precondition(!failure.message.utf8.contains { $0 < 0x20 }, failure.message)
}
