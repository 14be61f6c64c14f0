"""Instances: encoder x prior x decoder x gradient rule; importing this registers them with the Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from textlatent.corpus.tokenizer import SentenceTokenizer
from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.models.autoencoder import Autoencoder
from textlatent.models.configuration import SentenceVAEConfig, SentenceVQConfig
from textlatent.models.gaussian_vae import SentenceVAE
from textlatent.models.load import load_model
from textlatent.models.vq import SentenceVQ

AutoConfig.register(SentenceVAEConfig.model_type, SentenceVAEConfig)
AutoConfig.register(SentenceVQConfig.model_type, SentenceVQConfig)
AutoConfig.register(SentenceDecoderConfig.model_type, SentenceDecoderConfig)
AutoModel.register(SentenceVAEConfig, SentenceVAE)
AutoModel.register(SentenceVQConfig, SentenceVQ)
AutoModelForCausalLM.register(SentenceDecoderConfig, SentenceDecoder)
AutoTokenizer.register(SentenceVAEConfig, SentenceTokenizer)
AutoTokenizer.register(SentenceVQConfig, SentenceTokenizer)

__all__ = ["Autoencoder", "SentenceVAE", "SentenceVAEConfig", "SentenceVQ", "SentenceVQConfig", "load_model"]
