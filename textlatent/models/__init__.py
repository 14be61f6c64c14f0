"""Instances: encoder x prior x decoder x gradient rule; importing this registers them with the Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from textlatent.corpus.tokenizer import SentenceTokenizer
from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.models.autoencoder import Autoencoder
from textlatent.models.configuration import SentenceVAEConfig
from textlatent.models.gaussian_vae import SentenceVAE

AutoConfig.register(SentenceVAEConfig.model_type, SentenceVAEConfig)
AutoConfig.register(SentenceDecoderConfig.model_type, SentenceDecoderConfig)
AutoModel.register(SentenceVAEConfig, SentenceVAE)
AutoModelForCausalLM.register(SentenceDecoderConfig, SentenceDecoder)
AutoTokenizer.register(SentenceVAEConfig, SentenceTokenizer)

__all__ = ["Autoencoder", "SentenceVAE", "SentenceVAEConfig"]
